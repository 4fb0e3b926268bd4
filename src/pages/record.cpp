#include "sgpt_mi/pages/record.h"

#include <c10/util/Exception.h>

#include <cstdint>
#include <exception>
#include <filesystem>
#include <system_error>
#include <vector>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/io/output.h"
#include "sgpt_mi/io/partial_folder.h"
#include "sgpt_mi/recorder/record_page.h"

namespace sgpt_mi::pages {
namespace {

/// Passes everything on, and keeps the linears for a page of a run that fails.
class RecordedEvents : public report::Events {
 public:
  explicit RecordedEvents(report::Events& shown) : shown_(shown) {}

  void plan(const std::string& line) override { shown_.plan(line); }
  void stage(const std::string& name, std::int64_t units) override {
    if (name == "compress") linears_ = units;
    shown_.stage(name, units);
  }
  void progress(std::int64_t done) override { shown_.progress(done); }
  void layer(const report::LayerReport& layer) override {
    layers_.push_back(layer);
    shown_.layer(layer);
  }
  void restored(const report::LayerReport& layer) override {
    layers_.push_back(layer);
    shown_.restored(layer);
  }
  void warning(const std::string& text) override { shown_.warning(text); }
  void result(const std::string& line) override { shown_.result(line); }

  [[nodiscard]] bool at_work() const { return !layers_.empty(); }

  /// `report` with the linears that it lacks.
  void write(const std::filesystem::path& file, report::RunReport report,
             const std::string& error) {
    if (report.layers.empty()) report.layers = layers_;
    io::write_file_atomic(file, recorder::record_page({report, linears_, error}));
  }

 private:
  report::Events& shown_;
  std::int64_t linears_ = 0;
  std::vector<report::LayerReport> layers_;
};

/// \param at_work  whether a linear was compressed: before that the folder may be another
/// process's.
std::vector<std::filesystem::path> pages_of_a_failure(const std::string& file,
                                                      const std::string& journal, bool at_work) {
  std::vector<std::filesystem::path> pages;
  if (!file.empty()) pages.emplace_back(file);
  if (journal.empty() || !at_work) return pages;
  const std::filesystem::path folder = io::PartialFolder::path_for(journal);
  std::error_code not_there;
  if (std::filesystem::exists(folder, not_there)) pages.push_back(folder / "record.html");
  return pages;
}

std::string sentence_of(const std::exception& error) {
  const auto* const torch = dynamic_cast<const c10::Error*>(&error);
  return torch != nullptr ? torch->what_without_backtrace() : error.what();
}

}  // namespace

void record_run(const std::string& file, const std::string& journal,
                const report::RunReport& report, report::Events& events,
                const std::function<void(report::Events&)>& work) {
  if (file.empty() && journal.empty()) return work(events);
  RecordedEvents recorded(events);
  try {
    work(recorded);
  } catch (const std::exception& error) {
    try {
      for (const std::filesystem::path& page :
           pages_of_a_failure(file, journal, recorded.at_work())) {
        recorded.write(page, report, sentence_of(error));
      }
    } catch (const Error& second) {  // what ended the run is the error to report
      events.warning(second.what());
    }
    throw;
  }
  if (!file.empty()) recorded.write(file, report, "");
}

}  // namespace sgpt_mi::pages
