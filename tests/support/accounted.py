"""Which test runs each code block of the docs, by kind; a block without a test has a reason."""

from __future__ import annotations

from support.pages import Block, every_block

#: The blocks of a page, in a language, that a test of their own runs.
RUN_BY = {
    ("README.md", "console"): "docs/test_readme.py",
    ("docs/how-to/api-clients.md", "console"): "docs/test_api_clients_documented.py",
    ("docs/how-to/behind-a-proxy.md", "nginx"): "docs/test_deploy_documented.py",
    ("docs/how-to/deploy.md", "apache"): "docs/test_deploy_documented.py",
    ("docs/how-to/deploy.md", "ini"): "docs/test_deploy_documented.py",
    ("docs/how-to/deploy.md", "sh"): "docs/test_deploy_documented.py",
    ("docs/how-to/deploy.md", "yaml"): "docs/test_deploy_documented.py",
    ("docs/how-to/devices-page.md", "html"): "docs/test_devices_page_documented.py",
    ("docs/how-to/devices-page.md", "sh"): "docs/test_devices_page_documented.py",
    ("docs/how-to/test-your-application.md", "python"): "docs/test_application_tests_documented.py",
    ("docs/how-to/write-your-own-store.md", "python"): "docs/test_write_your_own_store.py",
    ("docs/reference/backends/mongodb.md", "javascript"): "docs/test_commands_documented.py",
    ("docs/reference/cli.md", "console"): "docs/test_cli_page.py",
    ("docs/reference/profiles.md", "text"): "docs/test_profiles_page.py",
    ("docs/tutorial/first-application.md", "console"): "docs/test_tutorial.py",
    ("docs/tutorial/first-application.md", "nginx"): "docs/test_tutorial.py",
    ("docs/tutorial/first-application.md", "python"): "docs/test_tutorial.py",
}
#: The complete applications that a test of their own runs. `docs.test_snippets` runs all others.
PROGRAMS_RUN_BY = {
    "README.md": "docs/test_readme.py",
    "docs/how-to/api-clients.md": "docs/test_api_clients_documented.py",
    "docs/how-to/devices-page.md": "docs/test_devices_page_documented.py",
    "docs/how-to/freshness.md": "docs/test_freshness_documented.py",
    "docs/how-to/long-lived.md": "docs/test_whose_sessions_documented.py",
    "docs/how-to/operator-page.md": "docs/test_operator_page_documented.py",
    "docs/how-to/rejections.md": "docs/test_rejections_documented.py",
    "docs/how-to/single-sign-on.md": "docs/test_single_sign_on.py",
    "docs/how-to/whose-sessions.md": "docs/test_whose_sessions_documented.py",
    "docs/reference/backends/redis.md": "stores/test_redis_clients.py",
}
#: The languages of blocks that nothing runs, and why.
NOT_RUN = {"": "output, and directives of the site", "text": "output, drawings and headers"}


def is_program(block: Block) -> bool:
    """Return whether *block* is a complete application."""
    return block.language == "python" and "Flask(__name__)" in block.text


_LEFT = [block for block in every_block() if (block.page, block.language) not in RUN_BY]
PROGRAMS = [block for block in _LEFT if is_program(block) and block.page not in PROGRAMS_RUN_BY]
FRAGMENTS = [block for block in _LEFT if block.language == "python" and not is_program(block)]
COMMANDS = [block for block in _LEFT if block.language in {"console", "sh"}]
#: What no test takes.
UNACCOUNTED = [block for block in _LEFT if block.language not in {"python", "console", "sh", *NOT_RUN}]
