#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "sgpt_mi/streams/byte_stream.h"

namespace sgpt_mi::streams {

/// How a file's bytes come out of it.
struct Packing {
  std::string_view name;  ///< "gzip", "zstd", "xz"; empty when nothing packs it
  std::unique_ptr<ByteStream> stream;
};

/// Chosen by the first bytes. A file that is too short for them is taken for what its name says, so
/// that a cut one is called cut; a longer one that only has the name is not packed.
/// \param stored  must outlive the stream; \param name  of the file, in lower case.
[[nodiscard]] Packing open_packing(std::span<const std::byte> stored, std::string_view name,
                                   const std::string& label);

/// A name in lower case without the ending of a packing.
[[nodiscard]] std::string_view without_packing(std::string_view name);

}  // namespace sgpt_mi::streams
