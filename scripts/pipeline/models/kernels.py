"""Layers computed by kernels from the Hugging Face Hub, where a device asks for them and they can be had."""

from transformers import PreTrainedModel
from transformers.utils import is_kernels_available

from pipeline.jobs.offline import offline_variable
from pipeline.jobs.processes import is_first_process
from pipeline.models.devices import Device

PATIENCE = 5  # seconds for the hub's first answer


def use_hub_kernels(model: PreTrainedModel, device: Device) -> bool:
    """Let a model on its device have kernels from the hub, and say which it has or why it has none.

    A layer for which there is no kernel stays as it is.

    Returns:
        Whether it was given to the package kernels.
    """
    if not device.kernels:
        return False
    base = model.get_base_model() if hasattr(model, "peft_config") else model
    reason = _reason_against(device)
    if reason is None:
        try:
            base.set_use_kernels(True)
        except Exception as error:  # whatever the hub or a build of a kernel came with: the layers stay as they were
            reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    if is_first_process():
        print("kernels: from the hub" if reason is None else f"kernels: none from the hub, {reason}", flush=True)
    return reason is None


def _reason_against(device: Device) -> str | None:
    """Why no kernel is asked for, None where one may be."""
    if device.type != "cuda":
        return "the device is no GPU"
    if not is_kernels_available():
        return "the package kernels is not installed"
    if name := offline_variable():
        return f"{name} is set"
    from huggingface_hub import constants, get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=PATIENCE)
    except Exception as error:  # of the client, of which there are several kinds
        return f"{constants.ENDPOINT} does not answer ({type(error).__name__})"
    return None
