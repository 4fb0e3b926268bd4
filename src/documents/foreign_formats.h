#pragma once

#include <string>
#include <string_view>

namespace sgpt_mi::documents {

/// Throws Error(kInput): `label` holds WHAT [packed by PACKING]; what is expected; REMEDY.
[[noreturn]] void refuse_content(const std::string& label, std::string_view packing,
                                 std::string_view what, std::string_view remedy);

/// Throws Error(kInput) that calls it by its name when a file begins as one that holds no text and
/// no records that are read here: another encoding, an archive, a document.
/// \param head  its first unpacked bytes; \param packing  of the file, or empty.
void refuse_foreign_content(std::string_view head, std::string_view packing,
                            const std::string& label);

/// The same for tables, which the name alone tells from a text.
/// \param name  of the file, in lower case, without the ending of a packing.
void refuse_foreign_name(std::string_view name, const std::string& label);

}  // namespace sgpt_mi::documents
