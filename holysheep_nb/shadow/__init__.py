"""The same prompts to two endpoints, streaming, side by side: what a move to HolySheep would change.

prompts ─▶ shadow ─▶ side: old ┐
                     side: new ┴▶ results (a JSONL file that can be gone on with) ─▶ report: markdown, two plots
"""
