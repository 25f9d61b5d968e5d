// See export.h. Only one part is in memory at a time.
#include "moga/pipeline/export.h"

#include <algorithm>
#include <map>

#include "moga/core/check.h"
#include "moga/core/files.h"
#include "moga/core/log.h"
#include "moga/core/safetensors.h"
#include "moga/model/image/image_encoder.h"
#include "moga/model/model_index.h"
#include "moga/model/preview_decoder.h"
#include "moga/model/registry.h"
#include "moga/model/text/text_encoder.h"
#include "moga/pipeline/model_part.h"
#include "moga/pipeline/models.h"

namespace moga {
namespace {

namespace fs = std::filesystem;

VideoModelPtr load_adapted(const fs::path& from, at::ScalarType dtype, const AdapterRequests& requests,
                           LoraExpert expert) {
  const std::vector<std::string> settings = adapter_settings(requests.adapter);
  Cloned<VideoModelConfig> config = load_video_model_config(from / "config.json");
  config->apply(settings, "adapter");
  const Adapters adapters(requests, *config, expert);
  return load_video_model(
      from, {.device = at::kCPU, .dtype = dtype, .settings = settings, .adapt = adapters.adapt(at::kCPU, at::kFloat)});
}

void export_part(ModelPart part, const fs::path& from, const fs::path& to, const ExportOptions& options) {
  const at::ScalarType own = main_dtype(from), dtype = options.dtype.value_or(own);
  const at::ScalarType source = own == at::kFloat8_e4m3fn ? at::kBFloat16 : own;  // of weights that are not in 8 bits
  const at::ScalarType loaded = dtype == at::kFloat8_e4m3fn ? source : dtype;
  const bool two = fs::exists(from.parent_path() / name_of(ModelPart::kTransformer2));
  const LoraExpert expert = two ? LoraExpert::kHigh : LoraExpert::kEach;  // of the first transformer
  log_info(name_of(part), ": ", from.string());
  switch (part) {
    case ModelPart::kTransformer:
      return load_adapted(from, loaded, options.adapters, expert)->save(to, dtype, options.layout);
    case ModelPart::kTransformer2:
      return load_adapted(from, loaded, options.adapters, LoraExpert::kLow)->save(to, dtype, options.layout);
    case ModelPart::kTextEncoder:
      return save_text_encoder(to, load_text_encoder(from, at::kCPU, loaded), dtype, options.layout);
    case ModelPart::kImageEncoder:
      return save_image_encoder(to, load_image_encoder(from, at::kCPU), loaded);
    case ModelPart::kVae:
      load_codec(from, at::kCPU, loaded)->save(to, loaded, options.layout);
      if (fs::exists(from / kPreviewFile)) fs::copy(from / kPreviewFile, to / kPreviewFile);
      return;
  }
}

}  // namespace

at::ScalarType main_dtype(const fs::path& part) {
  const Safetensors file(part);
  std::map<at::ScalarType, int64_t> values;
  for (const std::string& name : file.names()) values[file.dtype(name)] += c10::multiply_integers(file.shape(name));
  const auto fewer = [](const auto& a, const auto& b) { return a.second < b.second; };
  check(!values.empty(), part.string(), ": no weights");
  return std::max_element(values.begin(), values.end(), fewer)->first;
}

void export_model_folder(const fs::path& from, const fs::path& to, const ExportOptions& options) {
  if (const std::string advice = original_wan_advice(from); !advice.empty()) fail(from.string(), ": ", advice);
  load_model_index(from);
  check(fs::is_directory(from / "transformer"), from.string(), ": not a model folder, it has no transformer/");
  write_folder_atomically(to, Existing::kRefuse, [&](const fs::path& temporary) {
    for (const auto& part : kChoices<ModelPart>)
      if (fs::is_directory(from / part.name)) export_part(part.value, from / part.name, temporary / part.name, options);
    for (const char* part : {"tokenizer", "scheduler", "image_processor", "model_index.json"})
      if (fs::exists(from / part)) fs::copy(from / part, temporary / part, fs::copy_options::recursive);
  });
}

}  // namespace moga
