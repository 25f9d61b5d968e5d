// Loading of a model folder. Parts are checked for presence before any weight is read, since weights take long.
#include "moga/pipeline/models.h"

#include <nlohmann/json.hpp>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/files.h"

namespace moga {
namespace {

void check_parts(const std::filesystem::path& folder) {
  check(std::filesystem::is_directory(folder), folder.string(), ": no such folder; expected a model folder");
  std::string missing;
  for (const char* part : {"tokenizer/spiece.model", "text_encoder/config.json", "transformer/config.json",
                           "vae/config.json", "scheduler/scheduler_config.json"})
    if (!std::filesystem::exists(folder / part)) missing += std::string(missing.empty() ? "" : ", ") + part;
  check(missing.empty(), folder.string(), ": not a complete model folder; missing: ", missing);
}

void check_fit(const Models& models, const std::filesystem::path& folder) {
  const auto fits = [&](int64_t found, int64_t expected, const char* text) {
    check(found == expected, folder.string(), ": ", text, ": ", found, " and ", expected);
  };
  const TransformerConfig& transformer = models.transformer->config();
  fits(models.vae->config().z_dim, transformer.in_channels, "vae's z_dim and transformer's in_channels differ");
  fits(models.text_encoder->config().d_model, transformer.text_dim,
       "text_encoder's d_model and transformer's text_dim differ");
}

}  // namespace

SamplerConfig load_sampler_config(const std::filesystem::path& path) {
  SamplerConfig config = load_json<SamplerConfig>(path, /*ignore_unknown=*/true);
  const auto json = nlohmann::json::parse(read_text(path));
  if (json.contains("flow_shift")) config.shift = json["flow_shift"].get<double>();
  if (!json.contains("solver") && json.value("_class_name", "").find("Euler") != std::string::npos)
    config.solver = "euler";
  return config;
}

Models load_models(const std::filesystem::path& folder, at::Device device, at::ScalarType dtype,
                   const std::string& attention) {
  check_parts(folder);
  Models models{Tokenizer(folder / "tokenizer" / "spiece.model"),
                load_text_encoder(folder / "text_encoder", device, dtype),
                load_transformer(folder / "transformer", device, dtype, attention),
                load_vae(folder / "vae", device, at::kFloat),
                load_sampler_config(folder / "scheduler" / "scheduler_config.json"),
                device,
                dtype};
  check_fit(models, folder);
  models.text_encoder->eval();
  models.transformer->eval();
  models.vae->eval();
  return models;
}

}  // namespace moga
