"""Shapes of published models, as their config.json gives them, for measuring and estimating speed."""

SPREAD = 0.02  # of the weights at the start of training

OPT = {"architectures": ["OPTForCausalLM"], "model_type": "opt", "activation_function": "relu",
       "do_layer_norm_before": True, "enable_bias": True, "layer_norm_elementwise_affine": True,
       "max_position_embeddings": 2048, "vocab_size": 50272, "tie_word_embeddings": True,
       "bos_token_id": 2, "eos_token_id": 2, "pad_token_id": 1, "init_std": SPREAD}
LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
         "rms_norm_eps": 1e-5, "max_position_embeddings": 2048, "vocab_size": 32000,
         "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
         "initializer_range": SPREAD, "rope_theta": 10000.0, "attention_bias": False}


def opt(hidden, layers, heads, word_embed=None):
    return OPT | {"hidden_size": hidden, "num_hidden_layers": layers, "ffn_dim": 4 * hidden,
                  "num_attention_heads": heads, "word_embed_proj_dim": word_embed or hidden}


def llama(hidden, layers, heads, mlp, **other):
    return LLAMA | {"hidden_size": hidden, "num_hidden_layers": layers, "intermediate_size": mlp,
                    "num_attention_heads": heads, "num_key_value_heads": heads} | other


SHAPES = {
    "opt-125m": opt(768, 12, 12),
    "opt-1.3b": opt(2048, 24, 32),
    "opt-6.7b": opt(4096, 32, 32),
    "opt-13b": opt(5120, 40, 40),
    "llama-68m": llama(768, 2, 12, 3072),
    "tinyllama-1.1b": llama(2048, 22, 32, 5632, num_key_value_heads=4),
    "llama-7b": llama(4096, 32, 32, 11008),
    "vicuna-7b": llama(4096, 32, 32, 11008, max_position_embeddings=4096),
    "llama-13b": llama(5120, 40, 40, 13824),
    "vicuna-13b": llama(5120, 40, 40, 13824, max_position_embeddings=4096),
    "llama3-8b": llama(4096, 32, 32, 14336, num_key_value_heads=8, vocab_size=128256,
                       max_position_embeddings=8192, rope_theta=500000.0),
}
