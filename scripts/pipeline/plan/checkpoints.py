"""Where the checkpoints of a config are: what policies start from, the policies, the reward models."""

import os
from dataclasses import dataclass

from pipeline.config.reward_training import reward_dataset, starts_from_sft
from pipeline.config.settings import Settings


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of a config, as paths relative to the working directory.

    Where a method takes `names`, that is anything with the names of what is meant as attributes. A chain is the end of
    the path of what is a seed's own, where `seed_scope` is all: "/seed1"; else it is empty.
    """

    settings: Settings

    def start_chain(self, model: str, seed: int | str) -> str:
        """End of the path of what a seed's policies start from: "/seed1" where it is the seed's own, else empty."""
        own = self.settings.config["seed_scope"] == "all" and self.settings.has_sft(model)
        return f"/seed{seed}" if own else ""

    def reward_chain(self, reward_model: str, seed: int | str | None = None) -> str:
        """The same of a trained reward model.

        Args:
            seed: whose pairs it labels; None for the one that measures all runs, which is the first
                seed's.
        """
        own = self.settings.config["seed_scope"] == "all"
        trained = own and "train" in self.settings.entries["reward_models"][reward_model]
        return f"/seed{self.settings.seeds[0] if seed is None else seed}" if trained else ""

    def policy_folder(self, names) -> str | None:
        """Folder of a run's policy: the SFT model's of the run `sft`, none of the run `start`."""
        if not self.settings.task_runs[names.run].trained:
            return self.start_folder(names.dataset, names.model, self.start_chain(names.model, names.seed))
        return f"results/policies/{names.dataset}/{names.model}/{names.run}/seed{names.seed}"

    def policy_path(self, names) -> str:
        """The checkpoint of a run's policy."""
        folder = self.policy_folder(names)
        return f"{folder}/model" if folder else self.start_path(names.dataset, names.model)

    def start_folder(self, dataset: str, model: str, chain: str = "") -> str | None:
        """Folder of the SFT model that policies start from; None where they start from the model as it is.

        Args:
            chain: see `start_chain`.
        """
        return f"results/sft/{dataset}/{model}{chain}" if self.settings.has_sft(model) else None

    def start_path(self, dataset: str, model: str, chain: str = "") -> str:
        """The checkpoint that policies start from, which is their reference: the SFT model, or the entry's path."""
        return self._path_of(self.start_folder(dataset, model, chain), model)

    def reference(self, names, split: str) -> str:
        """The reference log-probabilities of a split, by what the policies of a seed start from."""
        chain = self.start_chain(names.model, names.seed)
        return f"results/reference/{names.dataset}/{names.model}{chain}/{split}.parquet"

    def reward_start(self, dataset: str, reward_model: str, chain: str = "") -> str | None:
        """Folder of the SFT model that a trained reward model starts from; None where it starts from the model itself.

        Args:
            dataset: that it is trained on.
            chain: of the reward model, see `reward_chain`.
        """
        if not starts_from_sft(self.settings, reward_model):
            return None
        return f"results/sft/{dataset}/{self.settings.entries['reward_models'][reward_model]['train']['model']}{chain}"

    def reward_start_path(self, dataset: str, reward_model: str, chain: str = "") -> str:
        """The checkpoint that a trained reward model starts from."""
        model = self.settings.entries["reward_models"][reward_model]["train"]["model"]
        return self._path_of(self.reward_start(dataset, reward_model, chain), model)

    def _path_of(self, sft_folder: str | None, model: str) -> str:
        """The checkpoint in an SFT model's folder, that of the model's entry where there is none."""
        return (
            f"{sft_folder}/model" if sft_folder else os.path.expanduser(self.settings.entries["models"][model]["path"])
        )

    def reward_model_folder(self, dataset: str, reward_model: str, seed: int | str | None = None) -> str | None:
        """Folder of a reward model that the workflow trains; None for a checkpoint from the hub or from disk.

        Args:
            seed: see `reward_chain`.
        """
        trained = "train" in self.settings.entries["reward_models"][reward_model]
        place = f"{reward_dataset(self.settings, dataset, reward_model)}/{reward_model}"
        return f"results/reward_models/{place}{self.reward_chain(reward_model, seed)}" if trained else None

    def reward_model_path(self, dataset: str, reward_model: str, seed: int | str | None = None) -> str:
        """The checkpoint of a trained reward model, or the path of its entry."""
        folder = self.reward_model_folder(dataset, reward_model, seed)
        return (
            f"{folder}/model"
            if folder
            else os.path.expanduser(self.settings.entries["reward_models"][reward_model]["path"])
        )
