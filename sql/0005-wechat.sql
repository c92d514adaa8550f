-- Rush: login by WeChat mini program.

-- "appid:openid": who it is to WeChat.  One belongs to one account.
ALTER TABLE user
  ADD COLUMN wx_key VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NULL,
  ADD UNIQUE KEY u_wx_key (wx_key);
