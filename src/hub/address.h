#pragma once

#include <string>
#include <string_view>

namespace sgpt_mi::hub {

/// Percent-encodes a text for a path of an address; a slash stays one if `keep_slashes`.
[[nodiscard]] std::string quote(std::string_view text, bool keep_slashes);

/// Whether a text is an http(s) address with a host and without user, query and fragment.
[[nodiscard]] bool is_plain_address(const std::string& address);

/// Whether an address names this machine: localhost, 127.0.0.0/8 or ::1.
[[nodiscard]] bool is_loopback(const std::string& address);

/// Whether two addresses have scheme, host and port in common: only then may both see a token.
[[nodiscard]] bool same_origin(const std::string& left, const std::string& right);

/// Whether a Location names a host, or only another path of the same one.
[[nodiscard]] bool names_host(const std::string& location);

/// Where a redirect from `current` leads.
///
/// Allowed is https; plain http only from a plain endpoint, to the endpoint itself or to this
/// machine. Throws Error(kInput) for anything else.
[[nodiscard]] std::string redirect_target(const std::string& current, const std::string& location,
                                          const std::string& endpoint);

}  // namespace sgpt_mi::hub
