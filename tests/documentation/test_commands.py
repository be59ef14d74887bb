"""Every command block of README and docs: the program, or its model, knows each command, option and value."""

import itertools
from pathlib import Path

import pytest
from documentation import programs, rollback_command
from documentation.code import JUDGES, NOT_JUDGED, language_of
from documentation.pages import PAGES, ROOT, Block, blocks_of, mentions_in
from documentation.shell import NotShell, read_commands

BLOCKS = [block for page in PAGES for block in blocks_of(page)]
SHELL = [block for block in BLOCKS if language_of(block) == "bash"]
OTHER = [block for block in BLOCKS if language_of(block) in JUDGES]


def problems_of(text: str, where: str = "") -> list[str]:
    """List what is wrong with the commands of a block."""
    try:
        commands = read_commands(text)
    except NotShell as error:
        return [f"{where}{error}"]
    return [
        f"{where}{' '.join(command.words)}: {problem}" for command in commands for problem in programs.judge(command)
    ]


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_every_command_of_a_block_exists(block: Block) -> None:
    problems = [
        f"{block.path.relative_to(ROOT)}:{block.line + command.line}: {' '.join(command.words)}: {problem}"
        for command in read_commands(block.text)
        for problem in programs.judge(command)
    ]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("block", OTHER, ids=str)
def test_every_other_block_is_what_its_language_says(block: Block) -> None:
    problems = list(JUDGES[language_of(block)](block))
    assert not problems, f"{block}: " + "\n".join(problems)


def test_every_block_has_a_language_that_is_judged() -> None:
    unknown = [str(block) for block in BLOCKS if language_of(block) not in {"bash", *JUDGES, *NOT_JUDGED}]
    assert unknown == [], "give these blocks a fence with a language"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_in_a_sentence_exists(page: Path) -> None:
    if page == ROOT / "CHANGELOG.md":
        return  # it names commands of former versions
    problems = [
        f"{mention}: {problem}"
        for mention in mentions_in(page)
        if mention.text.startswith(("rollback ", "make ", "cdk ")) and "/" not in mention.text.split()[1]
        for problem in problems_of_mention(mention.text)
    ]
    assert not problems, "\n".join(problems)


def problems_of_mention(text: str) -> list[str]:
    """List what is wrong with an incomplete command in a sentence."""
    commands = read_commands(text)
    assert len(commands) >= 1, text
    found = []
    for words in itertools.chain.from_iterable(command.alternatives() for command in commands):
        if words[0] == "rollback":
            found += list(rollback_command.judge_mention(words[1:]))
        elif words[0] == "make":
            found += list(programs.judge(commands[0]))
    return found


def test_the_pages_have_commands_of_every_kind() -> None:
    words = {command.program for block in SHELL for command in read_commands(block.text)}
    assert {"rollback", "aws", "cdk", "make", "curl", "git", "docker", "psql"} <= words
    assert len(SHELL) > 100


INVENTED = [
    ("rollback start production --turbo", "--turbo"),
    ("rollback start", "environment"),
    ("rollback revert production", "revert"),
    ("rollback history production --limit many", "many"),
    ("rollback start production --type everything", "everything"),
    ("rollback status prodction", "prodction"),
    ("rollback approve|rejct production ID --reason x", "rejct"),
    ("aws ecs update-service --cluster c --service s --task-family x", "--task-family"),
    ("aws ecs update-service --cluster c", "--service"),
    ("aws ecs rollback-service --cluster c", "rollback-service"),
    ("aws ecz list-tasks", "ecz"),
    ("aws ecs wait services-happy --cluster c --services s", "services-happy"),
    ("aws ecs list-tasks --cluster c --desired-status GONE", "GONE"),
    ("aws ecs list-tasks --cluster c --query 'taskArns[?'", "--query"),
    ("aws ecs update-service --service s --force-new-deployment yes", "takes no value"),
    ("aws cloudtrail lookup-events --lookup-attributes Key=EventName,AttributeValue=x", "Key"),
    ("aws logs tail /group --fast", "--fast"),
    ("cdk deploy MacroAiProductionStack --with-love", "--with-love"),
    ("cdk deploy MacroAiProdStack", "MacroAiProdStack"),
    ("cdk undeploy MacroAiProductionStack", "undeploy"),
    ("cdk deploy MacroAiProductionStack -c image=v1", "image"),
    ("make everything", "everything"),
    ("make demo SPEED=11", "SPEED"),
    ("curl --faill https://api.macro-ai.com/health", "--faill"),
    ("curl -X PATCH https://console.neon.tech/api/v2/projects/p/branches/b/reset -d '{}'", "PATCH"),
    ("curl https://api.neon.tech/v2/projects/p/branches/b --fail https://x", "one URL"),
    ("git undo v1", "undo"),
    ("docker run --tag x", "docker"),
    ("./rollback-helper.sh production service", "rollback-helper.sh"),
    ('echo "$(aws ecs list-clusterz)"', "list-clusterz"),
    ("rollback status production | jqq .", "jqq"),
    ("rollback history production | cut -f1 | xargs -n1 rollback shwo production", "shwo"),
    ("cut -q2 file", "-q2"),
]


@pytest.mark.parametrize(("text", "named"), INVENTED, ids=[text for text, _ in INVENTED])
def test_an_invented_command_option_or_value_is_found(text: str, named: str) -> None:
    assert any(named in problem for problem in problems_of(text)), problems_of(text)


@pytest.mark.parametrize("text", ["rollback start production --turbo", "rollback revert production", "make nothing"])
def test_an_invented_command_in_a_sentence_is_found(text: str) -> None:
    assert problems_of_mention(text)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("json", '"policy": {"moode": "observe"}'),
        ("json", '"policy": {"mode": "watch"}'),
        ("json", '{"environments": {"production": {"alarm": {}}}}'),
        ("json", '{"policy": '),
        (
            "json",
            '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ecs:Rollback", "Resource": "*"}]}',
        ),
        ("python", "def broken(:"),
        ("yaml", "a: [b"),
        ("text", "aws ecs list-clusters"),
    ],
)
def test_a_wrong_block_of_another_language_is_found(language: str, text: str) -> None:
    block = Block(ROOT / "README.md", 1, language, text)
    assert list(JUDGES[language](block))
