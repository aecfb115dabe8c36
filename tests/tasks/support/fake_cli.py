"""The command line on fake stages: ``python -m fake_cli run CONFIG ...``."""

from __future__ import annotations

import fake_stages

if __name__ == "__main__":
    fake_stages.install()
    from flows.cli.main import main

    main()
