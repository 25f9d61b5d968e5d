// See describe_fit.h. The loaders decide what fits (model/registry.h); this only reports it.
#include "moga/pipeline/describe_fit.h"

#include "moga/model/image/image_encoder.h"
#include "moga/model/layers/file_fit.h"
#include "moga/model/registry.h"

namespace moga {
namespace {

std::string fault(size_t number, const std::string& what, const std::string& first) {
  return "\n    " + std::to_string(number) + (number == 1 ? " tensor" : " tensors") + what + first;
}

std::string faults(const std::vector<Misfit>& misfits, bool missing) {
  size_t number = 0;
  const Misfit* first = nullptr;
  for (const Misfit& misfit : misfits)
    if (misfit.missing == missing && number++ == 0) first = &misfit;
  if (number == 0) return "";
  return fault(number,
               missing ? " missing, first: " : " not as config.json says, first: ", first->name + " " + first->problem);
}

}  // namespace

FileFit fit_of_part(const std::filesystem::path& folder, ModelPart part) {
  switch (part) {
    case ModelPart::kTransformer:
    case ModelPart::kTransformer2:
      return video_model_file_fit(folder);
    case ModelPart::kTextEncoder:
      return text_encoder_file_fit(folder);
    case ModelPart::kImageEncoder:
      return image_encoder_file_fit(folder);
    case ModelPart::kVae:
      break;
  }
  return codec_file_fit(folder);
}

std::string describe_fit(const std::filesystem::path& folder, ModelPart part) {
  const FileFit fit = fit_of_part(folder, part);
  std::string text = faults(fit.misfits, /*missing=*/true) + faults(fit.misfits, /*missing=*/false);
  if (const std::vector<std::string>& kept = fit.report.kept; !kept.empty())
    text += fault(kept.size(), " of routers missing, which start at random when loaded, first: ", kept.front());
  if (const std::vector<std::string>& unused = fit.report.unused; !unused.empty())
    text += fault(unused.size(), " for which config.json has no use, first: ", unused.front());
  if (const std::vector<std::string>& harmless = fit.report.harmless; !harmless.empty())
    text += fault(harmless.size(), " left unused without harm, first: ", harmless.front());
  return text;
}

}  // namespace moga
