#include "refusals.h"

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::hub {
namespace {

/// Throws Error(kInput) with the text and what the answer itself says.
[[noreturn]] void refuse(const Answer& answer, const std::string& text) {
  const std::string said = answer.header("x-error-message");
  fail(ErrorKind::kInput, "hub: {}{}", text,
       said.empty() ? "" : fmt::format(" (the answer says {})", shown(said)));
}

std::string gated(const Question& question, const Conduct& conduct) {
  return fmt::format(
      "{} '{}' is gated ({}): accept its licence at {}/{}, {}", question.repo.word(),
      question.repo.id,
      conduct.token.empty() ? "no token was sent" : "the token's account has no access",
      conduct.endpoint, question.repo.page(),
      conduct.token.empty()
          ? "then set HF_TOKEN or log in with `hf auth login`"
          : "wait for access where it is granted by hand, and check whose token HF_TOKEN is");
}

std::string missing(const Question& question, long status, const Conduct& conduct) {
  const bool wrong_token = status == 401 && !conduct.token.empty();
  return fmt::format(
      "{} '{}' at revision '{}' is not there or not to be seen ({} from {}): check the spelling of "
      "the id (ORG/NAME){}; {}",
      question.repo.word(), question.repo.id, question.revision, status, conduct.endpoint,
      question.revision == "main" ? "" : " and the revision",
      wrong_token ? "the token that was sent may be wrong or expired: set HF_TOKEN again"
      : conduct.token.empty() ? "a private one needs HF_TOKEN or `hf auth login`"
                              : "a private one needs a token of an account that may read it");
}

std::string without_file(const Question& question, const Conduct& conduct) {
  return fmt::format("{} '{}' has no file {} at revision '{}'; check the name at {}/{}/tree/{}",
                     question.repo.word(), question.repo.id, shown(question.file),
                     question.revision, conduct.endpoint, question.repo.page(), question.revision);
}

/// What an answer of the Hub itself means.
std::string meaning(const Question& question, const Answer& answer, const Conduct& conduct) {
  const std::string code = answer.header("x-error-code");
  const bool unseen = code == "RepoNotFound" || answer.status == 401;
  if (code == "GatedRepo" || (answer.status == 403 && !unseen)) return gated(question, conduct);
  if (code == "RevisionNotFound") {
    return fmt::format(
        "{} '{}' has no revision '{}'; expected a branch, a tag or a whole commit: check "
        "--revision",
        question.repo.word(), question.repo.id, question.revision);
  }
  if (code == "EntryNotFound" || (answer.status == 404 && !unseen && !question.file.empty())) {
    return without_file(question, conduct);
  }
  if (unseen || answer.status == 404) return missing(question, answer.status, conduct);
  return fmt::format("{} answers {} for {} '{}'; expected 200; check HF_ENDPOINT", conduct.endpoint,
                     answer.status, question.repo.word(), question.repo.id);
}

}  // namespace

void explain_refusal(const Question& question, const Answer& answer, const Conduct& conduct) {
  // A storage that the Hub redirects to knows no licences and no repositories: its 403 is an
  // address that has expired.
  if (answer.redirects > 0 && answer.header("x-error-code").empty()) {
    refuse(answer, fmt::format("{} '{}': the storage behind {} answers {} for {}; try again",
                               question.repo.word(), question.repo.id, conduct.endpoint,
                               answer.status, shown(question.file)));
  }
  refuse(answer, meaning(question, answer, conduct));
}

}  // namespace sgpt_mi::hub
