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
#include "moga/model/registry.h"
#include "moga/model/text/text_encoder.h"
#include "moga/pipeline/model_part.h"
#include "moga/pipeline/models.h"

namespace moga {
namespace {

namespace fs = std::filesystem;

void export_part(ModelPart part, const fs::path& from, const fs::path& to, const ExportOptions& options) {
  const at::ScalarType dtype = options.dtype.value_or(main_dtype(from));
  log_info(name_of(part), ": ", from.string());
  switch (part) {
    case ModelPart::kTransformer:
    case ModelPart::kTransformer2:
      return load_video_model(from, {.device = at::kCPU, .dtype = dtype})->save(to, dtype, options.layout);
    case ModelPart::kTextEncoder:
      return save_text_encoder(to, load_text_encoder(from, at::kCPU, dtype), dtype, options.layout);
    case ModelPart::kImageEncoder:
      return save_image_encoder(to, load_image_encoder(from, at::kCPU), dtype);
    case ModelPart::kVae:
      return load_codec(from, at::kCPU, dtype)->save(to, dtype, options.layout);
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
