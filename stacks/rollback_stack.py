"""`MacroAi<Env>RollbackStack`, which the installed package has too."""

from rollback_constructs.rollback_stack import RollbackStack

__all__ = ["RollbackStack"]
