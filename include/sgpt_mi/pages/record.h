#pragma once

#include <functional>
#include <string>

#include "sgpt_mi/report/events.h"
#include "sgpt_mi/report/run_report.h"

namespace sgpt_mi::pages {

/// Does `work` with events that go on to `events`, then writes recorder::record_page() of `report`,
/// which `work` fills, to `file`. When `work` throws, the page has what was told and
/// filled by then and the error, which goes on; it is then also written into the folder of the
/// run's journal, where that was left. A page that cannot be written is a warning then. Throws
/// Error(kInput) when the file cannot be written.
void record_run(const std::string& file, const std::string& journal,
                const report::RunReport& report, report::Events& events,
                const std::function<void(report::Events&)>& work);

}  // namespace sgpt_mi::pages
