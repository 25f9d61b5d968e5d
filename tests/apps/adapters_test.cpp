// LoRAs, MoGA adapters, 8-bit weights and the few-step way on the command line.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/files.h"
#include "moga/core/safetensors.h"
#include "tests/apps/program.h"
#include "tests/support/compare.h"

namespace moga {
namespace {

using test::expect_error;
using test::moga;
using test::Result;

class AdaptersProgram : public test::Program {
 protected:
  // The final latents of the film with these options.
  static at::Tensor latents(const std::string& options, const std::string& model = "model") {
    const std::string file = at("latents.safetensors");
    const Result result =
        moga("generate " + at("film.toml") + " --model " + at(model) + " --quiet --set sampler.steps=2 --out " +
             at("a.y4m") + " --save-latents " + file + " " + options);
    EXPECT_EQ(result.status, 0) << result.text;
    return Safetensors(file).load("latents");
  }
  static void write_lora(const std::string& name, const std::string& layer) {
    at::manual_seed(5);
    save_safetensors(at(name), {{"transformer." + layer + ".lora_A.weight", at::randn({2, 24})},
                                {"transformer." + layer + ".lora_B.weight", at::randn({24, 2})}});
  }
};

TEST_F(AdaptersProgram, ALoraChangesTheVideoAndMergedItIsTheSame) {
  write_lora("lora.safetensors", "blocks.0.attn1.to_v");
  const at::Tensor plain = latents(""), half = latents("--lora " + at("lora.safetensors") + ":0.5");
  EXPECT_TRUE(at::equal(latents("--lora " + at("lora.safetensors") + ":0"), plain));
  EXPECT_GT(test::difference(half, plain).relative, 1e-3);
  const std::string merge =
      "export " + at("model") + " --quiet --out " + at("merged") + " --lora " + at("lora.safetensors") + ":0.5";
  expect_error(merge, "--lora and --adapter are written with --merge only");
  EXPECT_EQ(moga(merge + " --merge").status, 0);
  EXPECT_TRUE(test::close(latents("", "merged"), half, 1e-4));
}

TEST_F(AdaptersProgram, ALoraOfAnotherModelIsRefusedBeforeItRuns) {
  write_lora("other.safetensors", "blocks.9.attn1.to_v");
  expect_error(generate("--quiet --out " + at("b.y4m") + " --lora " + at("other.safetensors")),
               "1 of 1 updated layers are not in the model: blocks.9.attn1.to_v");
  expect_error(generate("--quiet --out " + at("b.y4m") + " --lora " + at("none.safetensors")), "none.safetensors");
  expect_error(generate("--quiet --out " + at("b.y4m") + " --adapter " + at("other.safetensors")),
               "is no MoGA adapter");
}

TEST_F(AdaptersProgram, CalibrationWritesAnAdapter) {
  const std::string adapter = at("moga.safetensors");
  const Result result = moga("calibrate --model " + at("model") + " --script " + at("film.toml") +
                             " --quiet --steps 2 --tokens 256 --adapter " + adapter);
  EXPECT_EQ(result.status, 0) << result.text;
  EXPECT_EQ(Safetensors(adapter).shape("diffusion_model.blocks.0.self_attn.router.weight"),
            (std::vector<int64_t>{3, 24}));
  const std::string sizes = "moga attention with 3 groups, combined by mean; routers of 2 layers\n";
  EXPECT_EQ(moga("info " + adapter + " --json " + at("adapter.json"))
                .text.find(adapter + ": MoGA adapter for WanTransformer3DModel of 2 blocks of width 24: " + sizes),
            0u);
  EXPECT_NE(read_text(at("adapter.json")).find("\"kind\": \"MoGA adapter\""), std::string::npos);
  EXPECT_GT(test::difference(latents("--adapter " + adapter), latents("")).relative, 1e-4);
  expect_error(generate("--quiet --out " + at("b.y4m") + " --lora " + adapter), "expected --adapter");
}

TEST_F(AdaptersProgram, EightBitWeightsMakeNearlyTheSameVideo) {
  const std::string out = at("narrow");
  EXPECT_EQ(moga("export " + at("model") + " --quiet --layout wan --dtype fp8_scaled --out " + out).status, 0);
  EXPECT_LT(test::difference(latents("", "narrow"), latents("")).relative, 0.2);
  EXPECT_NE(moga("info " + out).text.find("Float8_e4m3fn"), std::string::npos);
  expect_error(generate("--quiet --out " + at("b.y4m") + " --fp8 multiply"), "the model has no weights in 8 bits");
}

// Euler, 4 steps, no guidance, shift 5: by options and by the script.
TEST_F(AdaptersProgram, FewSteps) {
  const at::Tensor by_options = latents("--solver euler --steps 4 --guidance 1 --shift 5");
  write_text(at("few.toml"),
             "set = [\"sampler.solver=euler\", \"sampler.steps=4\", \"sampler.guidance=1\", "
             "\"sampler.shift=5\"]\n" +
                 read_text(at("film.toml")));
  const Result result = moga("generate " + at("few.toml") + " --model " + at("model") + " --out " + at("c.y4m") +
                             " --save-latents " + at("few.safetensors"));
  EXPECT_NE(result.text.find("euler, 4 steps, shift 5, guidance 1"), std::string::npos) << result.text;
  EXPECT_TRUE(at::equal(Safetensors(at("few.safetensors")).load("latents"), by_options));
}

}  // namespace
}  // namespace moga
