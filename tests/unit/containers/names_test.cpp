#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "sgpt_mi/containers/buffer_names.h"
#include "sgpt_mi/containers/renamed_source.h"
#include "sgpt_mi/containers/safetensors.h"
#include "sgpt_mi/containers/tensor_names.h"
#include "sgpt_mi/core/error.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::containers {
namespace {

using test::bytes_of;
using test::TemporaryFolder;

TEST(TensorNames, CanBeShownOrAreRefused) {
  EXPECT_EQ(checked_name("model.w\u00e9ight", "f"), "model.w\u00e9ight");
  for (const char* bad : {"a\nb", "a\x1b[2J", "a\xff", "a\xc2\x9b"}) {
    EXPECT_THAT(test::input_error([&] { (void)checked_name(bad, "w.gguf"); }),
                ::testing::AllOf(::testing::HasSubstr("w.gguf: the name 'a\\"),
                                 ::testing::Not(::testing::HasSubstr(bad))));
  }
}

TEST(BufferNames, AreKnownWithAnythingInFront) {
  for (const char* name :
       {"model.layers.0.self_attn.rotary_emb.inv_freq", "rotary_emb.inv_freq",
        "model.rotary_emb.cos_cached",
        "module.model.layers.3.self_attn.rotary_emb.original_inv_freq", "inv_freq",
        "model.layers.0.self_attn.masked_bias", "transformer.h.0.attn.bias",
        "gpt.layers.1.attention.bias", "model.embeddings.position_ids", "model.decoder.version"}) {
    EXPECT_TRUE(is_buffer_name(name)) << name;
  }
}

TEST(BufferNames, WeightsAndBiasesAreNone) {
  for (const char* name :
       {"model.layers.0.self_attn.q_proj.bias", "model.layers.0.self_attn.o_proj.weight",
        "decoder.layers.0.fc1.bias", "model.version", "model.my_inv_freq", "lm_head.bias", ""}) {
    EXPECT_FALSE(is_buffer_name(name)) << name;
  }
}

TEST(RenamedSource, GivesTheStoredTensorsUnderTheirNewNames) {
  const TemporaryFolder folder;
  SafetensorsWriter writer(folder.path(), {{"x.a", DType::kU8, {1}}, {"x.b", DType::kU8, {1}}});
  writer.put("x.a", bytes_of("A"));
  writer.put("x.b", bytes_of("B"));
  writer.finish();
  const auto file = folder.path() / "model.safetensors";
  const auto source = rename_tensors(open_safetensors(file), {{"x.b", "b"}});
  ASSERT_EQ(source->tensors().size(), 1U);
  EXPECT_EQ(source->tensors()[0].name, "b");
  EXPECT_EQ(source->find("x.b"), nullptr);
  const TensorData data = source->read("b");
  EXPECT_EQ(data.info.name, "b");
  EXPECT_EQ(static_cast<char>(data.bytes[0]), 'B');
  source->will_need("b");
  source->done_with("none");
  EXPECT_THROW((void)rename_tensors(open_safetensors(file), {{"y", "y"}}), Error);
}

}  // namespace
}  // namespace sgpt_mi::containers
