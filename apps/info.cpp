// moga info: the contents of a file or folder.
#include <iostream>
#include <memory>

#include "apps/commands.h"
#include "moga/pipeline/describe.h"

namespace moga {

void add_info(CLI::App& app) {
  const auto path = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("info", "Describe a model folder, safetensors file, video or script");
  command->footer(R"(Reads headers only, so it is quick for files of any size.

Example:
  moga info models/demo
  moga info models/demo/transformer/diffusion_pytorch_model.safetensors
  moga info film.mp4)");
  command->add_option("PATH", *path, "model folder, .safetensors, .toml script or video")->required();
  command->callback([path] { std::cout << describe(*path); });
}

}  // namespace moga
