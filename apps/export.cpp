// moga export: a model folder in the names and dtype that another program expects.
#include <iostream>
#include <memory>

#include "apps/commands.h"
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
modulations, time embedding and routers of the transformer always in float32.

Example:
  moga export models/demo --out models/demo-diffusers --layout diffusers --dtype bfloat16)";

struct Options {
  std::string from, to, dtype;
  std::string layout = "diffusers";
  bool quiet = false;
};

void run(const Options& options) {
  set_quiet(options.quiet);
  check_new_folder(options.to);
  ExportOptions chosen{.layout = choice<WeightLayout>("--layout", options.layout)};
  if (!options.dtype.empty()) chosen.dtype = parse_dtype(options.dtype);
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
                      "float32, bfloat16 or float16 (default: the dtype of most of a part's values)");
  command->add_flag("--quiet", options->quiet, "print only results and errors");
  command->callback([options] { run(*options); });
}

}  // namespace moga
