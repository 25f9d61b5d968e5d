// Modules load from safetensors completely or not at all, and errors name the tensor that does not fit.
#include "moga/core/module_io.h"

#include <gtest/gtest.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>

#include "moga/core/check.h"
#include "moga/core/shapes_only.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

struct Net : torch::nn::Module {
  Net() {
    linear = register_module("linear", torch::nn::Linear(3, 2));
    router = register_module("router", torch::nn::Linear(3, 5));
    scale = register_buffer("scale", torch::ones({2}));
  }
  torch::nn::Linear linear{nullptr}, router{nullptr};
  torch::Tensor scale;
};

std::string error_loading(const TensorMap& tensors) {
  const test::Folder folder;
  save_safetensors(folder / "net.safetensors", tensors);
  Net target;
  const torch::Tensor before = target.linear->weight.clone();
  const std::string message = test::error_of([&] { load_parameters(target, Safetensors(folder.path())); });
  EXPECT_EQ(torch::equal(target.linear->weight, before), !message.empty());
  return message;
}

TEST(ModuleIo, ParametersAndBuffersRoundTripInTheModulesDtype) {
  const test::Folder folder;
  Net source, target;
  source.scale.fill_(0.5);
  save_safetensors(folder / "net.safetensors", named_tensors(source));
  target.to(torch::kDouble);
  const LoadReport report = load_parameters(target, Safetensors(folder.path()));
  EXPECT_TRUE(report.kept.empty() && report.unused.empty());
  for (const auto& [name, tensor] : named_tensors(source))
    EXPECT_TRUE(torch::equal(named_tensors(target).at(name), tensor.to(torch::kDouble))) << name;
  EXPECT_TRUE(target.linear->weight.requires_grad());
}

TEST(ModuleIo, TheFirstMisfitIsNamedAndTheRestCounted) {
  const Net net;
  TensorMap tensors = named_tensors(net);
  tensors["linear.weight"] = torch::zeros({2, 4});
  EXPECT_NE(error_loading(tensors).find("tensor linear.weight has shape [2, 4], expected [2, 3]"), std::string::npos);
  tensors.erase("linear.bias");
  EXPECT_NE(error_loading(tensors).find("tensor linear.bias is missing, expected shape [2]; 1 more do not fit"),
            std::string::npos);
}

TEST(ModuleIo, WholeNumbersAreNoWeights) {
  TensorMap tensors = named_tensors(Net());
  tensors["linear.bias"] = torch::zeros({2}, torch::kInt);
  EXPECT_NE(error_loading(tensors).find("tensor linear.bias holds Int, expected float32"), std::string::npos)
      << error_loading(tensors);
}

TEST(ModuleIo, ShapesAreComparedWithoutWeights) {
  const test::Folder folder;
  save_safetensors(folder / "net.safetensors", {{"linear.weight", torch::zeros({2, 4})}, {"scale", torch::ones({2})}});
  FileFit fit;
  {
    const ShapesOnly shapes_only;
    const Net net;
    EXPECT_TRUE(net.router->weight.is_meta() && net.scale.is_meta());
    fit = file_fit(net, Safetensors(folder.path()), {.file_name_of = {}, .optional = {"router."}});
  }
  ASSERT_EQ(fit.misfits.size(), 2u);
  EXPECT_EQ(fit.misfits[0].name + " " + fit.misfits[0].problem, "linear.bias is missing, expected shape [2]");
  EXPECT_EQ(fit.misfits[1].problem, "has shape [2, 4], expected [2, 3]");
  EXPECT_EQ(fit.report.kept, (std::vector<std::string>{"router.bias", "router.weight"}));
  EXPECT_TRUE(torch::equal(torch::zeros({2}).add(1), torch::tensor({1.f, 1.f})));  // real tensors again
}

TEST(ModuleIo, OptionalTensorsKeepTheirValuesAndUnusedOnesAreReported) {
  const test::Folder folder;
  Net source, target;
  save_safetensors(folder / "net.safetensors", {{"proj.weight", source.linear->weight},
                                                {"proj.bias", source.linear->bias},
                                                {"scale", source.scale},
                                                {"head", source.scale}});
  LoadOptions options;
  options.file_name_of = [](const std::string& name) {
    return name.starts_with("linear.") ? "proj." + name.substr(7) : name;
  };
  options.optional = {"router."};
  const LoadReport report = load_parameters(target, Safetensors(folder.path()), options);
  EXPECT_TRUE(torch::equal(target.linear->weight, source.linear->weight));
  EXPECT_EQ(report.kept, (std::vector<std::string>{"router.bias", "router.weight"}));
  EXPECT_EQ(report.unused, (std::vector<std::string>{"head"}));
}

}  // namespace
}  // namespace moga
