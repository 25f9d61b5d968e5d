// See moga_adapter.h.
#include "moga/model/adapter/moga_adapter.h"

#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "moga/core/check.h"
#include "moga/core/checksum.h"
#include "moga/core/config.h"
#include "moga/core/json_text.h"
#include "moga/core/module_io.h"
#include "moga/core/shapes_only.h"
#include "moga/model/adapter/lora_key.h"
#include "moga/model/layers/product_weight.h"

namespace moga {
namespace {

constexpr const char* kAttention = "moga.attention";
constexpr const char* kBase = "moga.base";

bool of_base(const std::string& name) { return !is_router(name) && !is_low_rank(name) && !is_weight_scale(name); }

// Class and sizes for people, and a hash over names and shapes of all tensors but routers.
nlohmann::json base_of(const VideoModel& model) {
  Checksum hash;
  for (const auto& [name, tensor] : named_tensors(model)) {
    if (!of_base(name)) continue;
    hash.add(name);
    hash.add(tensor.sizes().data(), tensor.dim() * sizeof(int64_t));
  }
  const ModelShape shape = model.config().shape();
  return {{"class", model.config().class_name()},
          {"blocks", shape.layers},
          {"width", shape.width()},
          {"hash", hash.text()}};
}

std::string member(const nlohmann::json& base, const char* key) {
  const auto found = base.find(key);
  if (found == base.end()) return "?";
  return printable(found->is_string() ? found->get<std::string>() : found->dump());
}

std::string described(const nlohmann::json& base) {
  return member(base, "class") + " of " + member(base, "blocks") + " blocks of width " + member(base, "width");
}

std::string layer_name(const VideoModel& model, AdapterNames names, const std::string& layer) {
  constexpr std::string_view kWeight = ".weight";
  const bool comfyui = names == AdapterNames::kComfyUi;
  const WeightLayout layout = comfyui ? WeightLayout::kWan : WeightLayout::kDiffusers;
  const std::string name = model.name_in(layout, layer + std::string(kWeight));
  return (comfyui ? "diffusion_model." : "transformer.") + name.substr(0, name.size() - kWeight.size());
}

// diffusers has no alpha: the scale goes into the second factor.
void add_update(TensorMap& tensors, const std::string& layer, const ProductWeight& product, AdapterNames names) {
  const at::Tensor down = product.lora_down.detach(), up = product.lora_up.detach();
  if (names == AdapterNames::kDiffusers) {
    tensors[layer + ".lora_A.weight"] = down.to(at::kBFloat16);
    tensors[layer + ".lora_B.weight"] = (up * product.lora_scale).to(at::kBFloat16);
    return;
  }
  tensors[layer + ".lora_down.weight"] = down.to(at::kBFloat16);
  tensors[layer + ".lora_up.weight"] = up.to(at::kBFloat16);
  tensors[layer + ".alpha"] = at::full({}, product.lora_scale * static_cast<double>(down.size(0)), at::kFloat);
}

// {"groups": 5, "windows": {"rows": 2}} → {"moga.groups=5", "moga.windows.rows=2"}
void add_settings(const nlohmann::json& object, const std::string& prefix, std::vector<std::string>& settings) {
  for (const auto& [key, value] : object.items()) {
    if (value.is_object())
      add_settings(value, prefix + key + ".", settings);
    else
      settings.push_back(prefix + key + "=" + (value.is_string() ? value.get<std::string>() : value.dump()));
  }
}

// Whether the model has a layer "<parent>.…".
bool has_child(const std::map<std::string, std::string>& spellings, const std::string& parent) {
  const auto first = spellings.lower_bound(parent + ".");
  return first != spellings.end() && first->first.starts_with(parent + ".");
}

// The file's routers: the model's own name → the name in the file. Those of layers that the settings make full ones are
// left out; a router of a layer that the model does not have is an error.
std::map<std::string, std::string> own_routers(const LoraFile& file, const VideoModel& model) {
  std::map<std::string, std::string> routers;
  const auto spellings = layer_spellings(model);
  for (const std::string& name : file.routers()) {
    const std::string bare = without_lora_prefix(name);
    const size_t dot = bare.rfind('.');
    const std::string layer = bare.substr(0, dot);
    if (const auto own = spellings.find(layer); own != spellings.end())
      routers[own->second + bare.substr(dot)] = name;
    else
      check(has_child(spellings, layer.substr(0, layer.rfind('.'))), file.source(), ": ", name,
            ": a router of a layer that is not in the model");
  }
  return routers;
}

void check_router(const Safetensors& file, const std::string& name, const at::Tensor& own) {
  const std::vector<int64_t> shape = file.shape(name);
  check(own.sizes() == at::IntArrayRef(shape), file.source(), ": ", name, " has shape ", at::IntArrayRef(shape),
        ", the model's attention needs ", own.sizes());
  check(c10::isFloatingType(file.dtype(name)), file.source(), ": ", name, " holds ", file.dtype(name),
        ", expected float32, bfloat16 or float16");
  check(file.load(name).to(at::kFloat).isfinite().all().item<bool>(), file.source(), ": ", name,
        " holds NaN or infinity, expected finite numbers");
}

}  // namespace

void save_moga_adapter(const std::filesystem::path& path, const VideoModel& model, AdapterNames names) {
  TensorMap routers = named_tensors(model);
  std::erase_if(routers, [](const auto& item) { return !is_router(item.first); });
  save_moga_adapter(path, model, names, routers);
}

void save_moga_adapter(const std::filesystem::path& path, const VideoModel& model, AdapterNames names,
                       const TensorMap& routers) {
  TensorMap tensors;
  for (const auto& item : model.named_modules("", /*include_self=*/false))
    if (const auto* product = dynamic_cast<const ProductWeight*>(item.value().get());
        product && product->has_low_rank())
      add_update(tensors, layer_name(model, names, item.key()), *product, names);
  const WeightLayout layout = names == AdapterNames::kComfyUi ? WeightLayout::kWan : WeightLayout::kDiffusers;
  const std::string prefix = names == AdapterNames::kComfyUi ? "diffusion_model." : "transformer.";
  for (const auto& [name, tensor] : routers)
    tensors[prefix + model.name_in(layout, name)] = tensor.detach().to(at::kFloat);
  check(!tensors.empty(), path.string(), ": the model has neither routers nor low-rank updates to write");
  std::map<std::string, std::string> metadata = {{"format", "pt"}, {kBase, base_of(model).dump()}};
  if (!routers.empty()) {
    VisualAttentionConfig attention = model.config().attention();
    attention.backend = AttentionBackend::kAuto;
    metadata[kAttention] = to_json(attention);
  }
  save_safetensors(path, tensors, metadata);
}

MogaAdapter::MogaAdapter(const std::filesystem::path& path) : file_(path) {
  const auto metadata = file_.file().metadata();
  check(metadata.contains(kBase) && metadata.contains(kAttention), file_.source(), ": is no MoGA adapter (no ", kBase,
        " and ", kAttention, " in its metadata); a LoRA is given with --lora");
  attention_ = metadata.at(kAttention);
  base_ = metadata.at(kBase);
  parse_json<VisualAttentionConfig>(attention_, file_.source() + ": " + kAttention);
  parse_json_object(base_, file_.source() + ": " + kBase);
}

std::string base_of_adapter(const Safetensors& file) {
  const auto metadata = file.metadata();
  const auto base = metadata.find(kBase);
  return base == metadata.end() ? "" : described(parse_json_object(base->second, file.source() + ": " + kBase));
}

std::vector<std::string> attention_settings(const VisualAttentionConfig& attention) {
  std::vector<std::string> settings;
  add_settings(nlohmann::json::parse(to_json(attention)), "moga.", settings);
  return settings;
}

VisualAttentionConfig MogaAdapter::attention() const {
  return parse_json<VisualAttentionConfig>(attention_, file_.source() + ": " + kAttention);
}

std::vector<std::string> MogaAdapter::settings() const {
  std::vector<std::string> settings = attention_settings(attention());
  std::erase_if(settings, [](const std::string& text) { return text.starts_with("moga.backend="); });  // the machine's
  return settings;
}

void MogaAdapter::check_fits(const VideoModel& model) const {
  const nlohmann::json base = parse_json_object(base_, file_.source()), own = base_of(model);
  check(base == own, file_.source(), ": an adapter for ", described(base), ", the model is ", described(own),
        described(base) == described(own) ? " with other tensors" : "");
  const std::map<std::string, std::string> routers = own_routers(file_, model);
  for (const auto& [name, tensor] : named_tensors(model)) {
    if (!is_router(name)) continue;
    check(routers.contains(name), file_.source(), ": has no ", name, ", which the model's attention needs");
    check_router(file_.file(), routers.at(name), tensor);
  }
}

void MogaAdapter::apply_routers(VideoModel& model) const {
  const at::NoGradGuard no_grad;
  const TensorMap tensors = named_tensors(model);
  for (const auto& [own, name] : own_routers(file_, model)) tensors.at(own).copy_(file_.file().load(name));
}

}  // namespace moga
