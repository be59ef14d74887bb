"""Fixes of moto 5.2.5: behaviours that AWS documents and moto lacks or answers wrongly. No fix simulates a service.

A fix goes when moto has its behaviour. `tests/contract/local_cloud/moto/test_moto_fixes.py` runs a probe of each
behaviour on moto without our fixes, and fails on that day. A fix names the issue of getmoto/moto where one was found.
Issues were not searched for every fix.
"""
