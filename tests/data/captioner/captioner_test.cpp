// The captioner against a small server in this process: what is sent, what is repeated, what is an error, and that the
// key appears nowhere.
#include "moga/data/captioner/captioner.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "tests/data/captioner/chat_server.h"
#include "tests/support/error.h"

namespace moga {
namespace {

constexpr const char* kKey = "sk-secret-7";

CaptionerConfig config_of(const test::ChatServer& server) {
  setenv("MOGA_TEST_KEY", kKey, 1);
  set_quiet(true);
  return {.endpoint = server.endpoint(),
          .model = "tiny",
          .key_variable = "MOGA_TEST_KEY",
          .timeout = 5,
          .retries = 3,
          .first_pause = 0.01};
}

TEST(Captioner, SendsPromptPicturesAndKey) {
  test::ChatServer server([](const auto&) { return test::Reply{200, test::chat_answer(" Two boats.\n At  dusk. ")}; });
  const CaptionAnswer answer = Captioner(config_of(server)).describe("Describe this.", {"one", "two"});
  EXPECT_EQ(answer.text, "Two boats. At dusk.");
  EXPECT_FALSE(answer.cut_off);
  const auto request = server.requests().at(0);
  EXPECT_EQ(request.authorization, std::string("Bearer ") + kKey);
  const auto body = nlohmann::json::parse(request.body);
  EXPECT_EQ(body.at("model"), "tiny");
  const auto& content = body.at("messages").at(0).at("content");
  ASSERT_EQ(content.size(), 3u);
  EXPECT_EQ(content.at(0).at("image_url").at("url"), "data:image/jpeg;base64,b25l");
  EXPECT_EQ(content.at(2).at("text"), "Describe this.");
}

TEST(Captioner, RepeatsAfterFaultsOfTheServer) {
  test::ChatServer server([](const auto& earlier) {
    if (earlier.size() == 1) return test::Reply{503, "busy"};
    if (earlier.size() == 2) return test::Reply{429, "slow down", /*retry_after=*/1};
    return test::Reply{200, test::chat_answer("A boat.", "length")};
  });
  const auto begin = std::chrono::steady_clock::now();
  const CaptionAnswer answer = Captioner(config_of(server)).describe("?", {});
  EXPECT_EQ(answer.text, "A boat.");
  EXPECT_TRUE(answer.cut_off);
  EXPECT_EQ(server.requests().size(), 3u);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(950));  // as the server asked
}

TEST(Captioner, GivesUpWithOneLineThatDoesNotHaveTheKey) {
  test::ChatServer server([](const auto& earlier) {
    if (earlier.size() == 1) return test::Reply{401, std::string("wrong key: ") + kKey};
    return test::Reply{500, std::string("<b>") + kKey + "</b>\nstack"};
  });
  const CaptionerConfig config = config_of(server);
  Captioner captioner(config);
  const std::string refused = test::error_of([&] { captioner.describe("?", {}); });
  EXPECT_EQ(refused, config.endpoint + "/chat/completions: status 401, \"wrong key: ***\"");
  testing::internal::CaptureStderr();
  set_quiet(false);
  const std::string failed = test::error_of([&] { captioner.describe("?", {}); });
  set_quiet(true);
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_EQ(failed, config.endpoint + "/chat/completions: status 500, \"<b>***</b>\\nstack\" after 4 requests");
  EXPECT_EQ(server.requests().size(), 5u);
  EXPECT_NE(log.find("again in"), std::string::npos);
  EXPECT_EQ((refused + failed + log).find("secret"), std::string::npos);
}

TEST(Captioner, StopsWaitingForASlowServer) {
  test::ChatServer server([](const auto&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(600));
    return test::Reply{200, test::chat_answer("late")};
  });
  CaptionerConfig config = config_of(server);
  config.timeout = 0.1;
  config.retries = 1;
  EXPECT_NE(test::error_of([&] { Captioner(config).describe("?", {}); }).find("after 2 requests"), std::string::npos);
  set_interrupted(true);
  EXPECT_THROW(Captioner(config_of(server)).describe("?", {}), Interrupted);
  set_interrupted(false);
}

TEST(Captioner, KeepsToItsRate) {
  test::ChatServer server([](const auto&) { return test::Reply{200, test::chat_answer("x")}; });
  CaptionerConfig config = config_of(server);
  config.requests_per_minute = 600;  // one per 0.1 s
  Captioner captioner(config);
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 5; ++i) captioner.describe("?", {});
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(390));
}

TEST(Captioner, NamesAnAddressOrAnAnswerThatIsWrong) {
  test::ChatServer server([](const auto&) { return test::Reply{200, "{\"choices\": []}"}; });
  CaptionerConfig config = config_of(server);
  EXPECT_NE(test::error_of([&] {
              Captioner(config).describe("?", {});
            }).find("the answer has no choices[0].message.content: \"{\\\"choices\\\": []}\""),
            std::string::npos);
  config.endpoint = "localhost:8000";
  EXPECT_EQ(test::error_of([&] { Captioner{config}; }),
            "endpoint is 'localhost:8000', expected an address as http://localhost:8000/v1");
  config.endpoint = "http://me:pass@host/v1";
  const std::string message = test::error_of([&] { Captioner{config}; });
  EXPECT_NE(message.find("MOGA_TEST_KEY"), std::string::npos);
  EXPECT_EQ(message.find("pass@"), std::string::npos);
}

}  // namespace
}  // namespace moga
