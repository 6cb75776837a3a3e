"""A small real model on this machine, for notebooks without a key.

`start_gateway` starts a gateway on loopback that speaks HolySheep's two protocols, as a child
process that dies with this one. What answers is an engine:

- *smollm2*: SmolLM2-135M-Instruct, fetched once (93 MB) and run by llama.cpp;
- *script*: plays given text, tool calls or a recorded stream at a given rate, and is always labelled so.

```
notebook ─▶ process ─▶ (child) serve ─▶ gateway ─▶ engine: smollm2 ◀─ weights
                                                         script ◀─ a JSON, text or recorded file
```
"""

from holysheep_nb.local.process import Gateway, start_gateway

__all__ = ["Gateway", "start_gateway"]
