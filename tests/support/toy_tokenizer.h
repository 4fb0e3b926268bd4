#pragma once

#include <nlohmann/json.hpp>

namespace sgpt_mi::test {

/// A tokenizer.json with the letters a, b, c, ▁ and the merges ab, abc; no other stage.
inline nlohmann::json toy_tokenizer_json() {
  return nlohmann::json::parse(R"({
    "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
    "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
    "model": {"type": "BPE", "dropout": null, "unk_token": null, "fuse_unk": false,
              "vocab": {"a": 0, "b": 1, "c": 2, "▁": 3, "ab": 4, "abc": 5},
              "merges": ["a b", "ab c"]}})");
}

}  // namespace sgpt_mi::test
