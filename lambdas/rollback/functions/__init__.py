"""The Lambda functions: one module each, with the steps and the drivers of that function alone.

`rollback_constructs.functions.bundling` follows the imports of such a module: the function's bundle has what it
imports. Lambda knows each by its stable name in `rollback.handlers`.
"""
