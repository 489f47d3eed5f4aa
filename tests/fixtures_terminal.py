"""A terminal to write to, and what was written to it."""

import fcntl
import os
import pty
import re
import struct
import termios
import threading

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A pseudo-terminal whose other end is read as long as it is open.

    Args:
        columns: its width.
        lines: its height.
    """

    def __init__(self, columns: int = 100, lines: int = 40):
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.written = b""
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        try:
            while part := os.read(self.master, 65_536):
                self.written += part
        except OSError:  # Linux, when no process has it open any more
            pass

    def close(self) -> str:
        """Close this process's end of it.

        Returns:
            All that was written, escape sequences included.
        """
        if self.slave is not None:
            os.close(self.slave)
            self.slave = None
            self.reader.join(10)
            os.close(self.master)
        return self.written.decode("utf-8", errors="replace").replace("\r\n", "\n")


def plain(text: str) -> str:
    """Text without colours and movements of the cursor."""
    return ESCAPES.sub("", text).replace("\r", "\n")
