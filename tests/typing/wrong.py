"""Mistakes in the use of the package: every line with a mark must be reported by each type checker, no other."""

from __future__ import annotations

import io

import mailstore
from mailstore import MailStoreServer, Outcome, Task, errors, models
from mailstore import MailStoreSever  # error: misspelt class
from mailstore import server2  # error: misspelt module
from mailstore.models import GetServerInfo, GetUserInfo, GetUsers, ServerInfo, StatusEnvelope, UserInfo, VerifyStore
from mailstore.models import GetUserInf  # error: misspelt request
from mailstore.errors import ApiErrr  # error: misspelt error
from mailstore.pipelines import load_requests, write_csv, write_json_lines
from mailstore.pipelines import load_request  # error: misspelt function

server = MailStoreServer("archive.example.com", password="secret")
client = mailstore.server.Client()

# Names of the package
print(mailstore.sever)  # error: misspelt module
print(mailstore.models.GetUser)  # error: misspelt request
print(models.StoreType.SQL)  # error: no such member
print(errors.ServerError)  # error: no such error

# Clients
MailStoreServer("archive.example.com")  # error: no password
MailStoreServer(password="secret")  # error: no host
MailStoreServer("archive.example.com", 8463, password="secret")  # error: port by position
MailStoreServer("archive.example.com", password="secret", fingerprnt="")  # error: misspelt option
MailStoreServer("archive.example.com", password=3)  # error: a number as password
MailStoreServer("archive.example.com", password="secret", timeout="10")  # error: a text as timeout
mailstore.server.Client(hostname="archive.example.com")  # error: misspelt option
mailstore.server.Client(wait_time=1000)  # error: Python's spelling
mailstore.server.Client(callbackStatus=3)  # error: no function

# Methods in Python's vocabulary
server.get_user_inf("x")  # error: misspelt method
server.GetUserInfo("x")  # error: the tutorial's method
server.get_user_info()  # error: no argument
server.get_user_info(userName="x")  # error: the API's spelling
server.get_user_info(3)  # error: a number as name
server.get_user_info("x", 3)  # error: too many arguments
server.get_user_info("x").email_adresses  # error: misspelt attribute
server.get_user_info("x").emailAddresses  # error: the API's spelling
server.create_user("x")  # error: no privileges
server.create_user("x", ["logn"])  # error: misspelt privilege
server.create_user("x", models.LoginPrivilege.WEB, password=3)  # error: a number as password
server.create_user("x", "login", authentication="integratd")  # error: misspelt text
server.create_user("x", "login", authentication=models.UserPrivilege.ADMIN)  # error: another enumeration
server.set_store_requested_state(1, requested_state="sleeping")  # error: no such text
server.create_job("x", "VerifyStores", "admin", "$Local", interval=7)  # error: no such interval
server.set_smtp_settings("password")  # error: no mapping
info: ServerInfo = server.get_user_info("x")  # error: another result
names: list[int] = server.get_user_info("x").email_addresses  # error: another type of items
version: int = server.get_server_info().version  # error: a text
size: int = server.get_stores()[0].statistics_size  # error: may be None

# Requests
GetUserInfo()  # error: no argument
GetUserInfo("x")  # error: by position
GetUserInfo(userName="x")  # error: the API's spelling
GetUserInfo(user_nam="x")  # error: misspelt argument
GetUserInfo(user_name="x", more=1)  # error: unknown argument
GetUserInfo(user_name=3)  # error: a number as name
VerifyStore(id="3")  # error: a text as number
models.SetUserAuthentication(user_name="x", authentication="integratd")  # error: misspelt text
models.CreateUser(user_name="x", privileges=["logn"])  # error: misspelt privilege
models.GetJobResults(from_including=3, to_excluding="2026-01-01T00:00:00")  # error: a number as date

# The ways that a call can go
server.run(GetUserInfo)  # error: the class instead of a request
server.run(UserInfo(user_name="x"))  # error: no request
server.run(GetUserInfo(user_name="x")).version  # error: another result
server.run(GetUsers(), wait=3)  # error: unknown option
result: UserInfo = server.run(GetUsers())  # error: another result
envelope: StatusEnvelope[UserInfo] = server.invoke(GetServerInfo())  # error: another result
server.invoke(GetUserInfo(user_name="x")).result.version  # error: another result
server.call(GetUsers())  # error: no name
server.resume("0", UserInfo)  # error: no request
server.resume(3)  # error: no token

# Tasks and outcomes
task: Task[UserInfo] = server.start(GetUsers())  # error: another result
server.start(GetUsers()).result().user_name  # error: a list
server.start(GetUsers()).cancel(3)  # error: too many arguments
outcome: Outcome[UserInfo] = next(iter(server.run_many([GetUsers()])))  # error: another result
for one in server.run_many([GetUserInfo(user_name="x")]):
    print(one.result.version)  # error: another result
    print(one.resul)  # error: misspelt attribute
server.run_many(["GetUsers"])  # error: no requests

# The tutorial's client
client.GetUserInf("x")  # error: misspelt method
client.get_user_info("x")  # error: Python's method
client.GetUserInfo()  # error: no argument
client.GetUserInfo(user_name="x")  # error: Python's spelling
client.GetUserInfo("x", autohandletoken=False)  # error: misspelt option
client.SetUserAuthentication("x", "integratd")  # error: misspelt text
client.GetUserInfo("x").result.emailAddresses  # error: the API's spelling as an attribute
client.GetUserInfo("x")[3]  # error: a number as key
client.GetUsers()["result"]["userName"]  # error: a list
code: int = client.GetUserInfo("x")["statusCode"]  # error: a text
rows: list[UserInfo] = client.GetUsers()["result"]  # error: another type of rows
client.GetStatus("0" * 32)  # error: no status
client.YieldStatus(3)  # error: no status

# Errors and pipelines
try:
    server.get_users()
except errors.ApiError as error:
    print(error.status)  # error: no such attribute
load_requests(3)  # error: no lines
write_csv(["x"], io.StringIO())  # error: no results
write_json_lines([GetUsers()], io.StringIO())  # error: requests instead of outcomes
