#include "hub/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temporary_folder.h"

namespace sgpt_mi::hub {
namespace {

using test::input_error;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Address, QuotesAllButPlainCharacters) {
  EXPECT_EQ(quote("refs/convert/parquet", false), "refs%2Fconvert%2Fparquet");
  EXPECT_EQ(quote("en/a b?#\xC3\xA4%.json", true), "en/a%20b%3F%23%C3%A4%25.json");
}

TEST(Address, PlainOnesAreHttpWithoutUserAndQuery) {
  for (const char* good :
       {"https://huggingface.co", "http://127.0.0.1:80/mirror", "http://[::1]:5"}) {
    EXPECT_TRUE(is_plain_address(good)) << good;
  }
  for (const char* bad : {"", "huggingface.co", "ftp://a", "file:///etc/passwd", "https://u:p@a",
                          "https://a?x=1", "https://a#x", "https://"}) {
    EXPECT_FALSE(is_plain_address(bad)) << bad;
  }
}

TEST(Address, LoopbackIsThisMachineOnly) {
  for (const char* here :
       {"http://127.0.0.1:5", "http://127.9.0.1", "http://localhost/x", "http://[::1]"}) {
    EXPECT_TRUE(is_loopback(here)) << here;
  }
  for (const char* there : {"http://127.0.0.1.evil.org", "http://localhost.evil.org",
                            "http://10.0.0.1", "http://a/127.0.0.1"}) {
    EXPECT_FALSE(is_loopback(there)) << there;
  }
}

TEST(Address, OriginIsSchemeHostAndPort) {
  EXPECT_TRUE(same_origin("https://A.org/x", "https://a.org:443/y"));
  EXPECT_FALSE(same_origin("https://a.org", "http://a.org"));
  EXPECT_FALSE(same_origin("http://a.org:1", "http://a.org:2"));
  EXPECT_FALSE(same_origin("https://a.org", "https://a.org.evil"));
  EXPECT_FALSE(same_origin("", ""));
}

TEST(Address, RedirectsKeepToHttps) {
  const std::string hub = "https://huggingface.co";
  EXPECT_EQ(redirect_target(hub + "/a/b", "/c", hub), hub + "/c");
  EXPECT_EQ(redirect_target(hub + "/a", "//cdn.org/c?x=1", hub), "https://cdn.org/c?x=1");
  for (const char* bad : {"http://huggingface.co/c", "http://127.0.0.1/c", "ftp://a.org/c",
                          "file:///etc/passwd", "https://user:word@a.org"}) {
    EXPECT_THAT(input_error([&] { (void)redirect_target(hub + "/a?sig=secret", bad, hub); }),
                AllOf(HasSubstr("expected an https address"), Not(HasSubstr("secret"))))
        << bad;
  }
}

TEST(Address, PlainHttpIsForTheEndpointItselfAndThisMachine) {
  const std::string mirror = "http://mirror.org:8080";
  EXPECT_EQ(redirect_target(mirror + "/a", mirror + "/b", mirror), mirror + "/b");
  EXPECT_EQ(redirect_target(mirror + "/a", "http://127.0.0.1:9/b", mirror), "http://127.0.0.1:9/b");
  EXPECT_EQ(redirect_target(mirror + "/a", "https://cdn.org/b", mirror), "https://cdn.org/b");
  EXPECT_THAT(input_error([&] { (void)redirect_target(mirror, "http://other.org/b", mirror); }),
              HasSubstr("leads to \"http://other.org/b\""));
}

TEST(Address, OnlyALocationWithAHostLeavesTheHub) {
  EXPECT_FALSE(names_host("/api/resolve-cache/x"));
  EXPECT_FALSE(names_host("x?to=http://a"));
  EXPECT_TRUE(names_host("https://cdn.org/x"));
  EXPECT_TRUE(names_host("//cdn.org/x"));
}

}  // namespace
}  // namespace sgpt_mi::hub
