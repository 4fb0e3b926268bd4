#include "gguf/gguf_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "support/gguf_writer.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::gguf {
namespace {

using test::bytes_of;
using test::input_error;

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::uint32_t kF32 = 0;
constexpr std::uint32_t kQ8 = 8;

std::string parse_error(const std::string& file) {
  return input_error([&] { (void)parse_gguf(bytes_of(file), "m.gguf"); });
}

std::string parse_error(const GgufWriter& writer) { return parse_error(writer.bytes()); }

TEST(ParseGguf, NamesThatCannotBeShownAreRefused) {
  GgufWriter writer;
  writer.tensor("a\nb", kF32, {1}, std::string(4, '\0'));
  EXPECT_THAT(parse_error(writer), HasSubstr("m.gguf: the name 'a\\nb'"));
}

TEST(ParseGguf, ReadsEveryMetadataKind) {
  GgufWriter writer;
  writer.text("text", "t\u00e9xt").whole("u32", 7).real("f32", 0.5F).flag("flag", true);
  writer.raw("u8", 0, "\xff").raw("i8", 1, "\xff").raw("u16", 2, "\xff\xff");
  writer.raw("i16", 3, "\xff\xff").raw("i32", 5, "\xfe\xff\xff\xff");
  writer.raw("u64", 10, GgufWriter::number<std::uint64_t>(1ULL << 40));
  writer.raw("i64", 11, GgufWriter::number<std::int64_t>(-1));
  writer.raw("f64", 12, GgufWriter::number(0.25));
  writer.texts("texts", {"a", "", "bc"}).numbers<float>("reals", 6, {1.5F, -2.0F});
  writer.numbers<std::int32_t>("wholes", 5, {3, -4});
  const std::string bytes = writer.bytes();
  const GgufMetadata metadata = parse_gguf(bytes_of(bytes), "m.gguf").metadata;
  EXPECT_EQ(metadata.text("text"), "t\u00e9xt");
  EXPECT_EQ(metadata.whole("u8"), 255);
  EXPECT_EQ(metadata.whole("i8"), -1);
  EXPECT_EQ(metadata.whole("u16"), 65535);
  EXPECT_EQ(metadata.whole("i16"), -1);
  EXPECT_EQ(metadata.whole("u32"), 7);
  EXPECT_EQ(metadata.whole("i32"), -2);
  EXPECT_EQ(metadata.whole("u64"), 1LL << 40);
  EXPECT_EQ(metadata.whole("i64"), -1);
  EXPECT_EQ(metadata.real("f32"), 0.5);
  EXPECT_EQ(metadata.real("f64"), 0.25);
  EXPECT_EQ(metadata.flag("flag"), true);
  EXPECT_THAT(metadata.texts("texts"), ElementsAre("a", "", "bc"));
  EXPECT_THAT(metadata.reals("reals"), ElementsAre(1.5F, -2.0F));
  EXPECT_THAT(metadata.wholes("wholes"), ElementsAre(3, -4));
  EXPECT_FALSE(metadata.text("absent").has_value());
  EXPECT_TRUE(metadata.texts("absent").empty());
}

TEST(ParseGguf, AnotherKindThanExpectedIsNamed) {
  GgufWriter writer;
  writer.whole("n", 7).texts("list", {"a"});
  writer.raw("big", 10, GgufWriter::number(std::numeric_limits<std::uint64_t>::max()));
  const std::string bytes = writer.bytes();
  const GgufMetadata metadata = parse_gguf(bytes_of(bytes), "m.gguf").metadata;
  EXPECT_THAT(input_error([&] { (void)metadata.text("n"); }),
              AllOf(HasSubstr("m.gguf"), HasSubstr("'n' is not a text")));
  EXPECT_THAT(input_error([&] { (void)metadata.real("n"); }), HasSubstr("floating-point"));
  EXPECT_THAT(input_error([&] { (void)metadata.flag("n"); }), HasSubstr("true or false"));
  EXPECT_THAT(input_error([&] { (void)metadata.whole("list"); }), HasSubstr("a whole number"));
  EXPECT_THAT(input_error([&] { (void)metadata.reals("list"); }), HasSubstr("an array"));
  EXPECT_THAT(input_error([&] { (void)metadata.whole("big"); }), HasSubstr("below 2^63"));
}

TEST(ParseGguf, FindsTensorsWithTheirDimensionsReversed) {
  for (const std::uint32_t version : {2U, 3U}) {
    GgufWriter writer;
    writer.version = version;
    writer.alignment = 64;
    writer.whole("general.alignment", 64);
    writer.tensor("a", kF32, {3, 2}, std::string(24, 'a'));
    writer.tensor("b", kQ8, {32}, std::string(34, 'b'));
    const std::string bytes = writer.bytes();
    const GgufFile file = parse_gguf(bytes_of(bytes), "m.gguf");
    ASSERT_EQ(file.tensors.size(), 2U);
    EXPECT_THAT(file.tensors[0].shape, ElementsAre(2, 3));
    EXPECT_EQ(file.tensors[1].type->name, "Q8_0");
    EXPECT_EQ(file.tensors[1].bytes.size(), 34U);
    EXPECT_EQ(file.tensors[1].bytes[33], std::byte{'b'});
  }
}

TEST(ParseGguf, OtherFilesAndVersionsAreRefused) {
  EXPECT_THAT(parse_error(std::string()), AllOf(HasSubstr("m.gguf"), HasSubstr("cut or damaged")));
  EXPECT_THAT(parse_error(std::string("ggml....")), HasSubstr("not a GGUF file"));
  GgufWriter writer;
  writer.version = 1;
  EXPECT_THAT(parse_error(writer), HasSubstr("GGUF version 1;"));
  writer.version = 0x03000000;
  EXPECT_THAT(parse_error(writer), HasSubstr("GGUF version 3, big-endian"));
}

TEST(ParseGguf, EveryCutIsRefused) {
  GgufWriter writer;
  writer.text("k", "v").texts("l", {"a", "b"}).tensor("t", kF32, {8}, std::string(32, 'x'));
  const std::string whole = writer.bytes();
  EXPECT_NO_THROW((void)parse_gguf(bytes_of(whole), "m.gguf"));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THAT(parse_error(whole.substr(0, size)), HasSubstr("m.gguf")) << size;
  }
}

TEST(ParseGguf, CountsAndLengthsAreBoundedByTheFile) {
  const std::uint64_t huge = std::numeric_limits<std::uint64_t>::max() / 2;
  const std::string start = std::string("GGUF") + GgufWriter::number<std::uint32_t>(3);
  EXPECT_THAT(parse_error(start + GgufWriter::number(huge) + GgufWriter::number<std::uint64_t>(0)),
              HasSubstr("more than its 0 bytes can hold"));
  EXPECT_THAT(parse_error(start + GgufWriter::number<std::uint64_t>(0) + GgufWriter::number(huge)),
              HasSubstr("more than its 0 bytes can hold"));
  EXPECT_THAT(parse_error(GgufWriter().raw("k", 8, GgufWriter::number(huge))),
              AllOf(HasSubstr("k at byte"), HasSubstr("only 0 are left")));
  for (const std::uint32_t element : {0U, 5U, 8U, 12U}) {
    const std::string array = GgufWriter::number(element) + GgufWriter::number(huge);
    EXPECT_THAT(parse_error(GgufWriter().raw("k", 9, array)), HasSubstr("k at byte")) << element;
  }
}

TEST(ParseGguf, OddMetadataIsRefused) {
  EXPECT_THAT(parse_error(GgufWriter().whole("k", 1).whole("k", 2)), HasSubstr("'k' occurs twice"));
  EXPECT_THAT(parse_error(GgufWriter().raw("k", 13, "")), HasSubstr("unknown kind 13"));
  const std::string nested = GgufWriter::number<std::uint32_t>(9) + std::string(8, '\0');
  EXPECT_THAT(parse_error(GgufWriter().raw("k", 9, nested)), HasSubstr("an array of arrays"));
  GgufWriter writer;
  writer.whole("general.alignment", 24).tensor("t", kF32, {1}, "xxxx");
  EXPECT_THAT(parse_error(writer), HasSubstr("power of two"));
}

TEST(ParseGguf, ImpossibleTensorsAreNamed) {
  const auto with = [](std::uint32_t type, const std::vector<std::uint64_t>& sizes,
                       std::uint64_t offset) {
    GgufWriter writer;
    writer.entry("t", type, sizes, offset).tensor("u", kF32, {16}, std::string(64, 'x'));
    return parse_error(writer);
  };
  EXPECT_THAT(with(kF32, {1}, 1),
              AllOf(HasSubstr("tensor 't'"), HasSubstr("not a multiple of 32")));
  EXPECT_THAT(with(kF32, {9}, 32), AllOf(HasSubstr("'t'"), HasSubstr("pass the end")));
  EXPECT_THAT(with(kF32, {1}, 1ULL << 63), AllOf(HasSubstr("'t'"), HasSubstr("pass the end")));
  EXPECT_THAT(with(kF32, {1}, 32), HasSubstr("tensors 'u' and 't' overlap"));
  EXPECT_THAT(with(kF32, {0}, 0), AllOf(HasSubstr("'t'"), HasSubstr("impossible shape")));
  EXPECT_THAT(with(kF32, {1ULL << 63}, 0), HasSubstr("impossible shape"));
  EXPECT_THAT(with(kF32, {1ULL << 40, 1ULL << 40}, 0), HasSubstr("impossible shape"));
  EXPECT_THAT(with(kF32, {1ULL << 62}, 0), HasSubstr("impossible shape"));
  EXPECT_THAT(with(kF32, {1, 1, 1, 1, 1}, 0), HasSubstr("5 axes"));
  EXPECT_THAT(with(kQ8, {16, 2}, 0),
              AllOf(HasSubstr("'t'"), HasSubstr("not a multiple of the 32")));
  EXPECT_THAT(with(15, {256}, 0), AllOf(HasSubstr("'t'"), HasSubstr("type Q8_K (15)")));
  EXPECT_THAT(with(77, {256}, 0), HasSubstr("of an unknown number (77)"));
  GgufWriter twice;
  twice.tensor("t", kF32, {1}, "xxxx").tensor("t", kF32, {1}, "xxxx");
  EXPECT_THAT(parse_error(twice), HasSubstr("tensor 't' occurs twice"));
}

}  // namespace
}  // namespace sgpt_mi::gguf
