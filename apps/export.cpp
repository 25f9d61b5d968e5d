// moga export: a model folder in the names and dtype that another program expects.
#include <iostream>
#include <memory>

#include "apps/commands.h"
#include "moga/core/check.h"
#include "moga/core/device.h"
#include "moga/core/files.h"
#include "moga/core/log.h"
#include "moga/pipeline/describe.h"
#include "moga/pipeline/export.h"

namespace moga {
namespace {

constexpr const char* kManual =
    R"(Reads a model folder in any layout and writes a new one: transformer, text encoder and
VAE under the names of diffusers (and transformers) or of the original Wan2.1, one
safetensors file each; tokenizer and scheduler are copied. Routers are written too;
diffusers reports them as unexpected and runs full attention.

Weights are written in one dtype per part, --dtype or else that of most of the part's values; norms,
modulations, time embedding and routers of the transformer always in float32. fp8_scaled writes
the attention and feed-forward weights of transformer and text encoder in 8 bits (float8_e4m3fn)
with a scale each, as ComfyUI reads them, and the rest in bfloat16: half the size.

--merge adds LoRAs (--lora) or a MoGA adapter (--adapter) to the weights that are written.

Example:
  moga export models/demo --out models/demo-diffusers --layout diffusers --dtype bfloat16
  moga export models/demo --out models/demo-8bit --layout wan --dtype fp8_scaled
  moga export models/demo --out models/demo-style --merge --lora style.safetensors:0.8)";

struct Options {
  std::string from, to, dtype;
  std::string layout = "diffusers";
  std::vector<std::string> loras;
  std::string adapter;
  bool merge = false, quiet = false;
};

at::ScalarType dtype_of(const std::string& name) {
  return name == "fp8_scaled" ? at::kFloat8_e4m3fn : parse_dtype(name);
}

void run(const Options& options) {
  set_quiet(options.quiet);
  check_new_folder(options.to);
  ExportOptions chosen{.layout = choice<WeightLayout>("--layout", options.layout)};
  if (!options.dtype.empty()) chosen.dtype = dtype_of(options.dtype);
  chosen.adapters = {parse_lora_requests(options.loras), options.adapter};
  check(options.merge != chosen.adapters.empty(),
        options.merge ? "--merge without --lora or --adapter" : "--lora and --adapter are written with --merge only");
  export_model_folder(options.from, options.to, chosen);
  std::cout << describe(options.to);
}

}  // namespace

void add_export(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("export", "Write a model folder with diffusers' or Wan2.1's names");
  command->footer(kManual);
  command->add_option("FOLDER", options->from, "model folder to read")->required();
  command->add_option("--out", options->to, "folder to write, must not exist")->required();
  command->add_option("--layout", options->layout, "names of the weights: " + choice_list<WeightLayout>())
      ->capture_default_str();
  command->add_option("--dtype", options->dtype,
                      "float32, bfloat16, float16 or fp8_scaled (default: the dtype of most of a part's values)");
  command->add_option("--lora", options->loras, "LoRA file to merge, or FILE:WEIGHT; may be given several times")
      ->allow_extra_args(false);
  command->add_option("--adapter", options->adapter, "MoGA adapter to merge");
  command->add_flag("--merge", options->merge, "write weights with --lora and --adapter added to them");
  command->add_flag("--quiet", options->quiet, "print only results and errors");
  command->callback([options] { run(*options); });
}

}  // namespace moga
