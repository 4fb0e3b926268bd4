#include "blob_digest.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <utility>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::hub {
namespace {

bool is_hex(const std::string& text, std::size_t digits) {
  return text.size() == digits && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

}  // namespace

struct BlobDigest::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { EVP_MD_CTX_free(context); }
};

BlobDigest::BlobDigest(std::string etag, std::int64_t size) : etag_(std::move(etag)) {
  const bool git = is_hex(etag_, 40) && size >= 0;
  if (!git && !is_hex(etag_, 64)) return;
  state_ = std::make_unique<State>();
  const EVP_MD* method = git ? EVP_sha1() : EVP_sha256();
  ensure(state_->context != nullptr && EVP_DigestInit_ex(state_->context, method, nullptr) == 1,
         "hub: a hash could not be started");
  if (git) {
    const std::string head = fmt::format("blob {}", size);
    update(std::as_bytes(std::span(head.c_str(), head.size() + 1)));  // with the zero behind it
  }
}

BlobDigest::~BlobDigest() = default;
BlobDigest::BlobDigest(BlobDigest&&) noexcept = default;
BlobDigest& BlobDigest::operator=(BlobDigest&&) noexcept = default;

void BlobDigest::update(std::span<const std::byte> bytes) {
  if (!state_) return;
  ensure(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1,
         "hub: a hash could not be updated");
}

bool BlobDigest::matches() {
  if (!state_) return true;
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  ensure(EVP_DigestFinal_ex(state_->context, digest.data(), &size) == 1,
         "hub: a hash could not be finished");
  std::string hex;
  for (unsigned int i = 0; i < size; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex == etag_;
}

}  // namespace sgpt_mi::hub
