#include "sgpt_mi/streams/packing.h"

#include <algorithm>
#include <array>

namespace sgpt_mi::streams {
namespace {

using Unpack = std::unique_ptr<ByteStream> (*)(std::span<const std::byte>, std::string);

struct Packer {
  std::string_view name;
  std::string_view magic;
  std::array<std::string_view, 2> endings;
  Unpack unpack;
};

std::unique_ptr<ByteStream> zstd(std::span<const std::byte> packed, std::string label) {
  return unpack_zstd(packed, std::move(label));
}

std::unique_ptr<ByteStream> xz(std::span<const std::byte> packed, std::string label) {
  return unpack_xz(packed, std::move(label));
}

using namespace std::string_view_literals;

// RFC 1952, RFC 8878, The .xz File Format 1.2.0; .lzma files begin with their usual properties.
constexpr std::array<Packer, 4> kPackers{{{"gzip", "\x1F\x8B"sv, {".gz", ".gzip"}, unpack_gzip},
                                          {"zstd", "\x28\xB5\x2F\xFD"sv, {".zst", ".zstd"}, zstd},
                                          {"xz", "\xFD\x37zXZ\0"sv, {".xz", ".xz"}, xz},
                                          {"xz", "\x5D\0\0"sv, {".lzma", ".lzma"}, xz}}};

bool has_name(const Packer& packer, std::string_view name) {
  return std::any_of(packer.endings.begin(), packer.endings.end(),
                     [&](std::string_view ending) { return name.ends_with(ending); });
}

/// A skippable frame, with which several packers begin: 0x184D2A50 to 0x184D2A5F, little-endian.
bool is_skippable_zstd(std::string_view bytes) {
  return bytes.size() >= 4 && bytes.substr(1, 3) == "\x2A\x4D\x18"sv &&
         (static_cast<unsigned char>(bytes[0]) & 0xF0) == 0x50;
}

bool packs(const Packer& packer, std::string_view bytes, std::string_view name) {
  if (bytes.starts_with(packer.magic)) return true;
  if (packer.name == "zstd" && is_skippable_zstd(bytes)) return true;
  return has_name(packer, name) && packer.magic.starts_with(bytes);
}

}  // namespace

Packing open_packing(std::span<const std::byte> stored, std::string_view name,
                     const std::string& label) {
  const std::string_view bytes(reinterpret_cast<const char*>(stored.data()), stored.size());
  for (const Packer& packer : kPackers) {
    if (packs(packer, bytes, name)) return {packer.name, packer.unpack(stored, label)};
  }
  return {"", read_plain(stored)};
}

std::string_view without_packing(std::string_view name) {
  for (const Packer& packer : kPackers) {
    for (const std::string_view ending : packer.endings) {
      if (name.ends_with(ending)) return name.substr(0, name.size() - ending.size());
    }
  }
  return name;
}

}  // namespace sgpt_mi::streams
