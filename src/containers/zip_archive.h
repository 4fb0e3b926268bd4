#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>

namespace sgpt_mi::containers {

/// The records of a zip archive by name, each in place in `file`.
///
/// Reads what torch.save writes: stored records (no compression, no encryption), zip64 or not.
/// Format: PKWARE APPNOTE 6.3, sections 4.3.7 (local header), 4.3.12 (directory), 4.3.14 to 4.3.16.
/// Every offset and length is checked against the file; data is not checked against its CRC.
/// Throws Error(kInput) naming the file (`label`) and the record.
[[nodiscard]] std::map<std::string, std::span<const std::byte>> read_stored_zip(
    std::span<const std::byte> file, const std::string& label);

}  // namespace sgpt_mi::containers
