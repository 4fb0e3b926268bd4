#pragma once

#include <filesystem>
#include <string>

namespace sgpt_mi::hub {

/// A path with a leading ~ and with $NAME and ${NAME} replaced, as huggingface_hub expands its
/// variables; an unknown name stays as it is.
[[nodiscard]] std::string expand_path(const std::string& text);

/// The Hub's address without a slash at its end: HF_ENDPOINT or https://huggingface.co.
/// Throws Error(kUsage) when it is not an http(s) address, or holds a user or a query.
[[nodiscard]] std::string endpoint();

/// The user's token: HF_TOKEN, HUGGING_FACE_HUB_TOKEN, else the file HF_TOKEN_PATH or
/// HF_HOME/token; empty: none, or HF_HUB_DISABLE_IMPLICIT_TOKEN is set.
/// Throws Error(kUsage), without showing it, when it cannot stand in a header.
[[nodiscard]] std::string token();

/// Whether HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE says so.
[[nodiscard]] bool offline_by_environment();

/// Seconds of silence after which a line counts as dropped: HF_HUB_DOWNLOAD_TIMEOUT or 30.
[[nodiscard]] long silence_seconds();

/// A file of certificates instead of the system's: SSL_CERT_FILE, REQUESTS_CA_BUNDLE or
/// CURL_CA_BUNDLE; empty: none.
[[nodiscard]] std::string certificate_file();

}  // namespace sgpt_mi::hub
