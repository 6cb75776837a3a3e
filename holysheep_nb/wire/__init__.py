"""What the text of a stream means: JSON ⇄ events. No I/O, no asyncio."""
