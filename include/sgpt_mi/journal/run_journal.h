#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sgpt_mi/containers/tensor_source.h"
#include "sgpt_mi/io/partial_folder.h"
#include "sgpt_mi/journal/record_file.h"

namespace sgpt_mi::journal {

/// What an interrupted run has left, for the user.
struct Progress {
  std::filesystem::path folder;
  double share = 0.0;                ///< of its steps that are done
  std::vector<std::string> command;  ///< as it was typed
};

/// What a compression has finished, so that a later process can go on from there: records and
/// tensors by key, in TARGET.partial.
///
///     journal        records (RecordFile): first the run, then what was finished, in order
///     KEY/           the tensors of a record, model.safetensors; complete before its line is
///
/// Everything that is kept depends on the run's identity alone; a run that finds it has the result
/// that it would have computed.
class RunJournal {
 public:
  /// Takes the folder over, with what is in it.
  /// Throws Error(kInput) when another process works there, or as RecordFile.
  explicit RunJournal(const std::filesystem::path& target);
  /// Leaves what is there for a later process, unless nothing was kept.
  ~RunJournal();
  RunJournal(const RunJournal&) = delete;
  RunJournal& operator=(const RunJournal&) = delete;

  /// What is there of an unfinished run; nothing when nothing of it was kept.
  [[nodiscard]] std::optional<Progress> progress() const;
  /// The same of a target; nothing where there is no journal.
  /// Throws Error(kInput) when a process works on it.
  [[nodiscard]] static std::optional<Progress> progress_of(const std::filesystem::path& target);

  /// Refuses to go on with another run: throws Error(kUsage) naming the first member of `identity`
  /// that differs from the run that began here. Members that are missing here are not compared.
  void require_same(const nlohmann::json& identity) const;

  /// Forgets what is there and begins a run of `steps` steps.
  void begin(const nlohmann::json& identity, const std::vector<std::string>& command,
             std::int64_t steps);
  /// Goes on; to be called after require_same().
  void go_on();

  /// What was kept under a key; nothing when it was not.
  [[nodiscard]] std::optional<nlohmann::json> find(const std::string& key) const;
  /// The tensors that were kept with it; null when there are none, or when they are damaged.
  [[nodiscard]] std::unique_ptr<containers::TensorSource> tensors(const std::string& key) const;

  /// Keeps a record, with tensors where there are some: on the disk when it returns.
  /// Throws Error(kInput) when the disk is full.
  void keep(const std::string& key, nlohmann::json value,
            const std::vector<containers::TensorData>& tensors = {});
  /// The same for a record that is one of begin()'s steps.
  void keep_step(const std::string& key, nlohmann::json value,
                 const std::vector<containers::TensorData>& tensors);

  /// A file of the journal's folder, for results that have a format of their own.
  [[nodiscard]] std::filesystem::path file(const std::string& name) const;

  /// Removes everything.
  void remove();

 private:
  void append(nlohmann::json record);
  [[nodiscard]] nlohmann::json record_of(const char* kind, const std::string& key,
                                         nlohmann::json value,
                                         const std::vector<containers::TensorData>& tensors) const;

  io::PartialFolder folder_;
  std::optional<RecordFile> records_;
};

}  // namespace sgpt_mi::journal
