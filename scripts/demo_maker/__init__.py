"""Makes the embedded demo: grammar, tokenizer, model. The program is scripts/make_demo.py."""
