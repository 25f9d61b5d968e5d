// See shot_captions.h. What fits is decided where captions are encoded (model/text/captions.h).
#include "moga/pipeline/shot_captions.h"

#include "moga/core/log.h"
#include "moga/model/text/captions.h"

namespace moga {

std::vector<std::string> shot_captions(const Script& script, const Models& models) {
  const int64_t text_len = models.transformer->config().conditioning().text_tokens;
  std::vector<std::string> captions;
  for (const Shot& shot : script.shot) {
    FittedCaption fitted = fit_caption(models.tokenizer, script.global_caption.value_or(""), shot.caption, text_len);
    captions.push_back(std::move(fitted.text));
    if (!fitted.note.empty()) log_info("shot ", captions.size(), ": ", fitted.note);
  }
  const FittedCaption negative = fit_caption(models.tokenizer, "", script.negative_text(), text_len);
  if (!negative.note.empty()) log_info("negative prompt: ", negative.note);
  return captions;
}

}  // namespace moga
