#include "site_journal.h"

#include <spdlog/fmt/fmt.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "sgpt_mi/ranks/messages.h"

namespace sgpt_mi::compress {
namespace {

using nlohmann::json;

std::string key_of(std::int64_t layer, model::Site site) {
  return fmt::format("block-{}.site-{}", layer, static_cast<int>(site));
}

}  // namespace

SiteRecord exchanged(const ranks::World& world, const SiteRecord& record, int from) {
  if (world.alone()) return record;
  ranks::Message message;
  if (world.rank() == from) {
    PackedRecord packed = pack(record);
    json names = json::array();
    for (const containers::TensorData& tensor : packed.tensors) {
      names.push_back(tensor.info.name);
      message.tensors.push_back(model::to_torch(tensor));
    }
    message.value = {{"record", std::move(packed.value)}, {"names", std::move(names)}};
  }
  message = ranks::broadcast(world, std::move(message), from);
  if (world.rank() == from) return record;
  std::map<std::string, torch::Tensor> by_name;
  for (std::size_t i = 0; i < message.tensors.size(); ++i) {
    by_name.emplace(message.value["names"][i], message.tensors[i]);
  }
  return unpack(message.value["record"], [&](const std::string& name) {
    const auto found = by_name.find(name);
    return found != by_name.end() ? found->second : torch::Tensor();
  });
}

bool SiteJournal::knows(std::int64_t layer, model::Site site) {
  const Key key{layer, site};
  if (known_.contains(key)) return true;
  const bool found = ranks::broadcast(world_, json(read(key)), 0);
  if (found && !world_.leads()) known_.emplace(key, SiteRecord{});
  return found;
}

bool SiteJournal::read(const Key& key) {
  if (journal_ == nullptr) return false;
  const std::string name = key_of(key.first, key.second);
  const std::optional<json> value = journal_->find(name);
  if (!value) return false;
  const std::unique_ptr<containers::TensorSource> file = journal_->tensors(name);
  if (file == nullptr) return false;
  known_.emplace(key, unpack(*value, lookup_in(file.get())));
  return true;
}

std::optional<SiteRecord> SiteJournal::take(std::int64_t layer, model::Site site) {
  auto found = known_.extract({layer, site});
  if (found.empty()) return std::nullopt;
  return exchanged(world_, found.mapped(), 0);
}

void SiteJournal::keep(std::int64_t layer, model::Site site, const SiteRecord& record) {
  if (journal_ == nullptr) return;
  PackedRecord packed = pack(record);
  journal_->keep_step(key_of(layer, site), std::move(packed.value), packed.tensors);
}

}  // namespace sgpt_mi::compress
