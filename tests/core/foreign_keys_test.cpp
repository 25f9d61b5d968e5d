// Keys of other programs pass at the value that means our arithmetic, and are named at any other.
#include "moga/core/foreign_keys.h"

#include <gtest/gtest.h>

#include <array>
#include <nlohmann/json.hpp>

#include "tests/support/error.h"

namespace moga {
namespace {

constexpr std::array kKeys = {
    ForeignKey{"dropout"},
    ForeignKey{"steps", "1000"},
    ForeignKey{"image_dim", "null", "an image-to-video model"},
};

TEST(ForeignKeys, AreErasedWhereTheyAreHarmless) {
  auto config = nlohmann::json::parse(R"({"dropout": [1], "steps": 1000.0, "image_dim": null, "width": 3})");
  erase_foreign_keys(config, kKeys, "a.json");
  EXPECT_EQ(config.dump(), R"({"width":3})");
}

TEST(ForeignKeys, NameTheValueThatIsNotSupported) {
  const auto error = [](const char* text) {
    auto config = nlohmann::json::parse(text);
    return test::error_of([&] { erase_foreign_keys(config, kKeys, "a.json"); });
  };
  EXPECT_EQ(error(R"({"steps": 500})"), "a.json: steps = 500 is not supported, expected 1000");
  EXPECT_EQ(error(R"({"image_dim": 1280})"),
            "a.json: image_dim = 1280 is not supported, expected null: this is an image-to-video model");
  EXPECT_EQ(error(R"({"steps": null})"), "");  // the default
}

}  // namespace
}  // namespace moga
