"""Factories of the ports that need a client library: httpx, psycopg, cryptography.

A Lambda function names the factories that its steps need (`rollback.functions`). So its bundle has those libraries and
no other. Each factory imports its adapter at the first use of the port, since an import of httpx takes 150 ms.
"""
