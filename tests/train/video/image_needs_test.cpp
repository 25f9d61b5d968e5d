// What models are given of images, and the one line that names a data set which does not store it.
#include "moga/train/video/image_needs.h"

#include <gtest/gtest.h>

#include "tests/support/error.h"
#include "tests/train/tiny_images.h"

namespace moga {
namespace {

const ImageNeeds kText{};
const ImageNeeds kCondition{.form = ImageForm::kCondition, .channels = 8};
const ImageNeeds kEmbedded{.form = ImageForm::kCondition, .channels = 8, .embedding = 6};
const ImageNeeds kPairs{.form = ImageForm::kCondition, .channels = 8, .embedding = 6, .pair_tokens = 6};
const ImageNeeds kGiven{.form = ImageForm::kLatents, .optional = true};

std::string error(const StoredImages& stored, const ImageNeeds& needs) {
  return test::error_of([&] { check_images(stored, needs, "D"); });
}

TEST(ImageNeeds, AreThoseOfTheModel) {
  const test::Folder run;
  const auto needs = [&](ImageStyle style) { return image_needs(test::tiny_image_config(style, run.path())); };
  EXPECT_EQ(image_needs(test::tiny_config(run.path())).form, ImageForm::kNone);
  EXPECT_EQ(needs(ImageStyle::kCondition).channels, 8);
  EXPECT_EQ(needs(ImageStyle::kCondition).embedding, 0);
  EXPECT_EQ(needs(ImageStyle::kEmbedded).embedding, test::kImageWidth);
  EXPECT_EQ(needs(ImageStyle::kGiven).form, ImageForm::kLatents);
  EXPECT_TRUE(needs(ImageStyle::kGiven).optional);
}

TEST(ImageNeeds, ADataSetThatStoresThemPasses) {
  for (const ImageNeeds& needs : {kText, kGiven}) EXPECT_EQ(error({}, needs), "");
  EXPECT_EQ(error({.form = ImageForm::kCondition}, kText), "");  // they are not used
  EXPECT_EQ(error({.form = ImageForm::kLatents}, kGiven), "");
  EXPECT_EQ(error({.form = ImageForm::kCondition, .some_last = true}, kCondition), "");
  EXPECT_EQ(error({.form = ImageForm::kCondition, .embedding = 6, .some_single = true}, kEmbedded), "");
  EXPECT_EQ(error({.form = ImageForm::kCondition, .embedding = 6, .some_last = true}, kPairs), "");
}

TEST(ImageNeeds, AnotherFormIsNamedWithTheKeyOfPrepare) {
  EXPECT_EQ(error({}, kCondition),
            "D: stores no images, and an image-to-video model is trained; prepare it with images.form = \"condition\"");
  EXPECT_EQ(error({.form = ImageForm::kCondition}, kGiven),
            "D: stores images in form condition, and a model that is given frames is trained; prepare it with "
            "images.form = \"latents\" or \"none\"");
}

TEST(ImageNeeds, WrongEmbeddingsAndLastImagesAreNamed) {
  const StoredImages plain{.form = ImageForm::kCondition}, wide{.form = ImageForm::kCondition, .embedding = 7};
  EXPECT_NE(error(plain, kEmbedded).find("D: holds no embeddings of images"), std::string::npos);
  EXPECT_NE(error(wide, kEmbedded).find("have a width of 7, the model's image_dim is 6"), std::string::npos);
  const StoredImages single{.form = ImageForm::kCondition, .embedding = 6, .some_single = true},
      last{.form = ImageForm::kCondition, .embedding = 6, .some_last = true};
  EXPECT_NE(error(single, kPairs).find("prepare it with images.last = 1"), std::string::npos);
  EXPECT_NE(error(last, kEmbedded).find("prepare it with images.last = 0"), std::string::npos);
}

}  // namespace
}  // namespace moga
