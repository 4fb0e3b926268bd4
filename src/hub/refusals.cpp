#include "refusals.h"

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::hub {
namespace {

[[noreturn]] void explain_gated(const Question& question, const Conduct& conduct) {
  fail(ErrorKind::kInput, "hub: {} '{}' is gated ({}): accept its licence at {}/{}, {}",
       question.repo.word(), question.repo.id,
       conduct.token.empty() ? "no token was sent" : "the token's account has no access",
       conduct.endpoint, question.repo.page(),
       conduct.token.empty()
           ? "then set HF_TOKEN or log in with `hf auth login`"
           : "wait for access where it is granted by hand, and check whose token HF_TOKEN is");
}

[[noreturn]] void explain_missing(const Question& question, long status, const Conduct& conduct) {
  const bool wrong_token = status == 401 && !conduct.token.empty();
  fail(ErrorKind::kInput,
       "hub: {} '{}' at revision '{}' is not there or not to be seen ({} from {}): check the "
       "spelling of the id (ORG/NAME){}; {}",
       question.repo.word(), question.repo.id, question.revision, status, conduct.endpoint,
       question.revision == "main" ? "" : " and the revision",
       wrong_token ? "the token that was sent may be wrong or expired: set HF_TOKEN again"
       : conduct.token.empty() ? "a private one needs HF_TOKEN or `hf auth login`"
                               : "a private one needs a token of an account that may read it");
}

}  // namespace

void explain_refusal(const Question& question, const Answer& answer, const Conduct& conduct) {
  const std::string code = answer.header("x-error-code");
  const bool missing = code == "RepoNotFound" || answer.status == 401;
  if (code == "GatedRepo" || (answer.status == 403 && !missing)) {
    explain_gated(question, conduct);
  }
  if (code == "RevisionNotFound") {
    fail(ErrorKind::kInput,
         "hub: {} '{}' has no revision '{}'; expected a branch, a tag or a whole commit: check "
         "--revision",
         question.repo.word(), question.repo.id, question.revision);
  }
  if (code == "EntryNotFound" || (answer.status == 404 && !missing && !question.file.empty())) {
    fail(ErrorKind::kInput,
         "hub: {} '{}' has no file {} at revision '{}'; check the name at {}/{}/tree/{}",
         question.repo.word(), question.repo.id, printable(question.file), question.revision,
         conduct.endpoint, question.repo.page(), question.revision);
  }
  if (missing || answer.status == 404) explain_missing(question, answer.status, conduct);
  fail(ErrorKind::kInput, "hub: {} answers {} for {} '{}'; expected 200; check HF_ENDPOINT",
       conduct.endpoint, answer.status, question.repo.word(), question.repo.id);
}

}  // namespace sgpt_mi::hub
