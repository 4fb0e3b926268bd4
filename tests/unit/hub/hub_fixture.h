#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "hub/cache.h"
#include "sgpt_mi/hub/hub.h"
#include "support/hub_server.h"

namespace sgpt_mi::test {

/// A Hub with the model org/tiny, and an empty cache.
class HubTest : public ::testing::Test {
 protected:
  HubTest() {
    for (const char* name : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH",
                             "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DOWNLOAD_TIMEOUT"}) {
      set(name, "");
    }
    set("HF_HOME", (folder_.path() / "home").string());
    set("HF_HUB_CACHE", (folder_.path() / "hub").string());
    publish("models/org/tiny/main/config.json", "{}");
    publish("models/org/tiny/main/tokenizer.json", R"({"model": {}})");
    publish("models/org/tiny/main/tokenizer_config.json", "{}");
    publish("models/org/tiny/main/README.md", "not needed");
    publish("models/org/tiny/main/model.safetensors", weights_);
    hub::Session session;
    session.first_delay_seconds = 0.01;
    hub::set_up(session);
  }
  ~HubTest() override { hub::set_up({}); }

  void set(const std::string& name, const std::string& value) {
    variables_.emplace_back(name, value);
  }
  void publish(const std::string& path, const std::string& bytes) const {
    (void)folder_.file("root/" + path, bytes);
  }
  void serve(const nlohmann::json& settings = nlohmann::json::object()) {
    server_.emplace(folder_, folder_.path() / "root", settings);
    set("HF_ENDPOINT", server_->address());
  }
  /// A server that fails at the weights, in this order.
  void serve_faults(const nlohmann::json& faults) {
    serve({{"faults", {{"model.safetensors", faults}}}});
  }

  [[nodiscard]] static std::filesystem::path fetch(const std::string& name = "org/tiny") {
    return hub::find_model(*hub::parse_model_name(name));
  }

  /// Ranges of the requests for the weights' bytes, in order.
  [[nodiscard]] std::vector<std::string> ranges() const {
    std::vector<std::string> result;
    for (const auto& request : server_->requests()) {
      if (request["other"] && request["method"] == "GET") result.push_back(request["range"]);
    }
    return result;
  }

  [[nodiscard]] hub::RepoCache cache() const {
    return hub::RepoCache({hub::Kind::kModel, "org/tiny"});
  }

  TemporaryFolder folder_;
  std::string weights_ = std::string(100'000, 'w') + "end";
  std::string weights_sha256_ = sha256_of(weights_);
  std::deque<Variable> variables_;
  std::optional<HubServer> server_;

 private:
  static std::string sha256_of(const std::string& text);
};

}  // namespace sgpt_mi::test
