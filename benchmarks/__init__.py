"""The broker measured beside a bare aiohttp byte pass-through and the direct call: `python -m benchmarks`.

`benchmarks/README.md` tells the method. Nothing here is imported by the product.
"""
