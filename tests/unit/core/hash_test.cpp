#include "sgpt_mi/core/hash.h"

#include <gtest/gtest.h>

#include <array>
#include <utility>

namespace sgpt_mi {
namespace {

// FIPS 180-2, appendix B, and the hash of nothing.
constexpr const char* kEmpty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr const char* kAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(Sha256, PublishedVectors) {
  EXPECT_EQ(sha256_hex(""), kEmpty);
  EXPECT_EQ(sha256_hex("abc"), kAbc);
  EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_hex(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, PartsHashAsTheWhole) {
  Sha256 hash;
  hash.update(std::as_bytes(std::span(std::string_view("a"))));
  hash.update({});
  hash.update(std::as_bytes(std::span(std::string_view("bc"))));
  EXPECT_EQ(hash.hex_digest(), kAbc);
}

TEST(TokenSha256, IsOfLittleEndianInt32) {
  EXPECT_EQ(token_sha256({}), kEmpty);
  const std::array<std::int32_t, 2> ids{1, 0x01020304};
  EXPECT_EQ(token_sha256(ids), sha256_hex(std::string_view("\1\0\0\0\4\3\2\1", 8)));
}

}  // namespace
}  // namespace sgpt_mi
