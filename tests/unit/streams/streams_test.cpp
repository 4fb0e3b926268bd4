#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sgpt_mi/streams/byte_stream.h"
#include "sgpt_mi/streams/packing.h"
#include "support/packers.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::streams {
namespace {

using test::bytes_of;
using test::input_error;
using ::testing::AllOf;
using ::testing::HasSubstr;

/// What a file of these bytes and this name holds.
std::string unpacked(const std::string& stored, const std::string& name = "file") {
  return read_all(*open_packing(bytes_of(stored), name, name).stream);
}

struct Packer {
  const char* name;
  const char* ending;
  std::string (*pack)(std::string_view);
  const char* damage;  ///< what a wrong check sum is called
};

std::string zstd_of(std::string_view text) { return test::zstd(text); }

class Streams : public ::testing::TestWithParam<Packer> {
 protected:
  static std::string pack(std::string_view text) { return GetParam().pack(text); }
};

INSTANTIATE_TEST_SUITE_P(, Streams,
                         ::testing::Values(Packer{"gzip", ".gz", test::gzip, "data check"},
                                           Packer{"zstd", ".zst", zstd_of, "checksum"},
                                           Packer{"xz", ".xz", test::xz, "do not fit together"}),
                         [](const auto& packer) { return packer.param.name; });

TEST_P(Streams, AreKnownByTheirBytesWhateverTheName) {
  const std::string text = "a\n" + std::string(200'000, 'x') + "b";
  EXPECT_EQ(open_packing(bytes_of(pack(text)), "t.txt", "t.txt").name, GetParam().name);
  EXPECT_EQ(unpacked(pack(text), "t.txt"), text);
  EXPECT_EQ(unpacked(pack("")), "");
}

TEST_P(Streams, FramesJoin) {
  EXPECT_EQ(unpacked(pack("one ") + pack("") + pack("two")), "one two");
}

TEST_P(Streams, FillTheBufferUntilTheEnd) {
  const std::string packed = pack("abc") + pack("defgh");
  const auto stream = open_packing(bytes_of(packed), "", "").stream;
  std::string piece(6, '\0');
  EXPECT_EQ(stream->read(piece), 6U);
  EXPECT_EQ(piece, "abcdef");
  EXPECT_EQ(stream->read(piece), 2U);
  EXPECT_EQ(stream->read(piece), 0U);
}

TEST_P(Streams, EveryCutIsRefused) {
  const std::string name = std::string("cut") + GetParam().ending;
  const std::string whole = pack("some text that is worth packing");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THAT(input_error([&] { return unpacked(whole.substr(0, size), name); }),
                AllOf(HasSubstr(name), HasSubstr(GetParam().name), HasSubstr("is cut")))
        << size;
  }
  // Of a second frame that starts like nothing there is no telling that it was one.
  for (std::size_t size = 7; size < whole.size(); ++size) {
    EXPECT_THAT(input_error([&] { return unpacked(pack("a") + whole.substr(0, size), name); }),
                HasSubstr("is cut"))
        << size;
  }
}

TEST_P(Streams, DamageIsRefused) {
  const std::string whole = pack("some text that is worth packing");
  std::string damaged = whole;
  // A byte of the check sum: gzip's is before the length, xz's before the index.
  const std::size_t at = GetParam().name == std::string("xz")     ? whole.size() - 30
                         : GetParam().name == std::string("gzip") ? whole.size() - 6
                                                                  : whole.size() - 1;
  damaged[at] = static_cast<char>(damaged[at] ^ 1);
  EXPECT_THAT(
      input_error([&] { return unpacked(damaged, "d"); }),
      AllOf(HasSubstr("d: "), HasSubstr(GetParam().damage), HasSubstr("get the file again")));
  EXPECT_THAT(input_error([&] { return unpacked(whole + "rest", "d"); }), HasSubstr("d: "));
}

TEST(Packing, UnpackedFilesOfAPackedNameAreWhatTheyAre) {
  for (const char* name : {"t.gz", "t.zst", "t.xz"}) {
    EXPECT_EQ(unpacked("plain text", name), "plain text");
    EXPECT_EQ(open_packing(bytes_of("plain text"), name, name).name, "");
  }
  EXPECT_EQ(unpacked("", "t.txt"), "");
}

TEST(Packing, GzipPaddingIsIgnored) {
  EXPECT_EQ(unpacked(test::gzip("one") + std::string(7, '\0')), "one");
}

TEST(Packing, XzPaddingIsIgnored) {  // multiples of four, The .xz File Format, 2.2
  EXPECT_EQ(unpacked(test::xz("one") + std::string(8, '\0') + test::xz(" two")), "one two");
}

TEST(Packing, BytesBehindXzAreOnePossibility) {
  EXPECT_THAT(input_error([] { return unpacked(test::xz("one") + "rest", "d.xz"); }),
              AllOf(HasSubstr("d.xz"), HasSubstr("followed by bytes that are no stream")));
}

TEST(Packing, SkippableZstdFramesAreSkipped) {
  const std::string skipped("\x5A\x2A\x4D\x18\x03\0\0\0abc", 11);
  EXPECT_EQ(unpacked(skipped + test::zstd("one") + skipped + test::zstd(" two")), "one two");
}

TEST(Packing, LongZstdWindowsAreRead) {
  constexpr int kBeyondTheDefault = 28;  // `zstd --long=28`; libzstd refuses more than 27 unasked
  const std::string packed = test::zstd("text", kBeyondTheDefault);
  EXPECT_EQ(unpacked(packed), "text");
  EXPECT_THAT(input_error([&] { return read_all(*unpack_zstd(bytes_of(packed), "w.zst", 27)); }),
              AllOf(HasSubstr("w.zst"), HasSubstr("memory")));
}

TEST(Packing, LzmaFilesAreRead) {
  // `printf 'some text' | xz --format=lzma`, XZ Utils 5.4.1
  const std::string packed(
      "\x5D\x00\x00\x80\x00\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x00\x39\x9B"
      "\xC9\xF2\xE7\x50\xB8\xC5\xE2\x5D\xAC\xF1\x35\xFF\xFF\x86\x72\x00\x00",
      33);
  EXPECT_EQ(unpacked(packed, "t.lzma"), "some text");
}

TEST(Packing, NamesLoseTheirPacking) {
  EXPECT_EQ(without_packing("a.json.gz"), "a.json");
  EXPECT_EQ(without_packing("a.jsonl.zst"), "a.jsonl");
  EXPECT_EQ(without_packing("a.txt.xz"), "a.txt");
  EXPECT_EQ(without_packing("a.txt"), "a.txt");
}

}  // namespace
}  // namespace sgpt_mi::streams
