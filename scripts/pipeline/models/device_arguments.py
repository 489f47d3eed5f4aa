"""The arguments of scripts that run a model; what they mean for torch is in `pipeline.models.devices`."""

import argparse


def add_device_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of every script that runs a model: --device, --threads and --side-by-side."""
    parser.add_argument("--device", default="auto", help="name of an entry of config/devices.yaml")
    parser.add_argument("--threads", type=int, help="CPU threads of torch; all when left out")
    about = (
        "jobs on this machine at a time, which share its memory; 0 where the model is a small one trained from scratch"
    )
    parser.add_argument("--side-by-side", type=int, default=1, help=about)
